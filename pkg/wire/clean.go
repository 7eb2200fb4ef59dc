package wire

import (
	"errors"
	"net/url"
	"regexp"
	"sync"
)

var (
	// webAddress finds the parts of an address that may hold secrets: who signs
	// in, and everything behind a question mark.
	webAddress = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`(?i)\b([a-z][a-z0-9+.-]*://)(?:[^\s/"'@]*@)?([^\s"'?#]*)(?:[?#][^\s"']*?)?(:?(?:[\s"']|$))`)
	})
	// query finds what is left of them in addresses without a host.
	query = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\?[^\s"'=?]+=[^\s"']*`) })
)

// failure is an error with a text that may be shown.
type failure struct {
	text  string
	cause error
}

func (f *failure) Error() string { return f.text }
func (f *failure) Unwrap() error { return f.cause }

// Clean gives an error whose text has no credentials and no query strings in
// its addresses. It is errors.Is and errors.As to what err is.
func Clean(err error) error {
	if err == nil {
		return nil
	}
	text := CleanText(err.Error())
	if text == err.Error() {
		return err
	}
	return &failure{text: text, cause: err}
}

// CleanText takes credentials and query strings out of the addresses in a text.
func CleanText(text string) string {
	return query().ReplaceAllString(webAddress().ReplaceAllString(text, "$1$2$3"), "")
}

// bare is an error of net/http without the address, which its client adds again.
func bare(err error) error {
	var addressed *url.Error
	if errors.As(err, &addressed) {
		return addressed.Err
	}
	return err
}
