package gitlab

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"gitlab.com/towline/towline/pkg/archive"
	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/wire"
)

const (
	lagTries  = 4               // how often an archive is looked for that may not be there yet
	idleMost  = 2 * time.Minute // without a byte, before a connection counts as lost
	lossesMax = 8               // connections lost in a row, without a byte in between
)

// Download is a file at GitLab, of which parts can be had where the server, or
// the object storage it leads to, allows that.
type Download struct {
	c         *Client
	operation string
	path      string
	size      int64
	validator string // ETag; "" where there is none
	tail      []byte // the end of the file
	whole     *http.Response
}

// Artifacts finds the archive that a job left. One that has just ended may not
// have it yet: it is looked for a few times.
func (c *Client) Artifacts(ctx context.Context, job string) (*Download, error) {
	return c.download(ctx, "fetch the artifacts of job "+job, "/jobs/"+url.PathEscape(job)+"/artifacts")
}

// ArtifactsByRef finds the archive of a job in the latest pipeline of a branch
// or tag that has succeeded, which need not be the one that is meant.
func (c *Client) ArtifactsByRef(ctx context.Context, ref, job string) (*Download, error) {
	return c.download(ctx, fmt.Sprintf("fetch the artifacts of job %q at %s", job, ref),
		"/jobs/artifacts/"+url.PathEscape(ref)+"/download?job="+url.QueryEscape(job))
}

// PackageFile finds a file of a generic package.
func (c *Client) PackageFile(ctx context.Context, name, version, file string) (*Download, error) {
	return c.download(ctx, "fetch package "+name+" "+version, packagePath(name, version, file))
}

func packagePath(name, version, file string) string {
	return "/packages/generic/" + url.PathEscape(name) + "/" + url.PathEscape(version) + "/" + url.PathEscape(file)
}

func (c *Client) download(ctx context.Context, operation, path string) (*Download, error) {
	d := &Download{c: c, operation: operation, path: path}
	wait := 2 * c.wait()
	for try := 1; ; try++ {
		err := d.begin(ctx)
		lagging := statusOf(err) == http.StatusNotFound && !strings.Contains(err.Error(), "Project")
		if err == nil || !lagging || try == lagTries {
			return d, c.refused(ctx, operation, err)
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(wait):
		}
		wait *= 2
	}
}

// begin asks for the end of the file, which tells its size and whether parts
// can be had. A server that knows no parts begins to send the whole.
func (d *Download) begin(ctx context.Context) error {
	resp, err := d.get(ctx, fmt.Sprintf("bytes=-%d", archive.Tail))
	if err != nil {
		return err
	}
	d.validator = strong(resp.Header.Get("ETag"))
	if resp.StatusCode == http.StatusOK {
		d.size, d.whole = resp.ContentLength, resp
		return nil
	}
	defer func() { _ = resp.Body.Close() }()
	from, size, ok := contentRange(resp)
	if !ok || size-from > archive.Tail {
		return fmt.Errorf("GitLab answered with the range %q", resp.Header.Get("Content-Range"))
	}
	d.size, d.tail = size, make([]byte, size-from)
	if n, err := io.ReadFull(resp.Body, d.tail); err != nil {
		rest := &part{d: d, ctx: ctx, at: from + int64(n), end: size}
		defer func() { _ = rest.Close() }()
		_, err = io.ReadFull(rest, d.tail[n:])
		return err
	}
	return nil
}

// get asks for a part. The answer is a part, or the whole.
func (d *Download) get(ctx context.Context, span string) (*http.Response, error) {
	req, err := d.c.request(ctx, http.MethodGet, d.path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "*/*")
	req.Header.Set("Accept-Encoding", "identity")
	if span != "" {
		req.Header.Set("Range", span)
	}
	if d.validator != "" {
		req.Header.Set("If-Range", d.validator)
	}
	resp, err := d.c.wire.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusPartialContent {
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, mostBody))
	return nil, refusalOf(resp, text)
}

// strong is a validator by which equal tags mean equal bytes, or "".
func strong(tag string) string {
	if strings.HasPrefix(tag, `"`) {
		return tag
	}
	return ""
}

// contentRange reads where a part begins, and how large the whole is.
func contentRange(resp *http.Response) (from, size int64, ok bool) {
	span, total, found := strings.Cut(strings.TrimPrefix(resp.Header.Get("Content-Range"), "bytes "), "/")
	first, last, dash := strings.Cut(span, "-")
	from, err1 := strconv.ParseInt(first, 10, 64)
	end, err2 := strconv.ParseInt(last, 10, 64)
	size, err3 := strconv.ParseInt(total, 10, 64)
	ok = found && dash && err1 == nil && err2 == nil && err3 == nil && 0 <= from && from <= end && end < size
	return from, size, ok
}

// Ranges says whether parts can be had. If not, Spool is the only way.
func (d *Download) Ranges() bool { return d.whole == nil }

// Size is how many bytes the file has; -1 if the server does not say before
// the end.
func (d *Download) Size() int64 { return d.size }

// Tail is the end of the file, if parts can be had.
func (d *Download) Tail() []byte { return d.tail }

// Close gives up what is not read.
func (d *Download) Close() {
	if d.whole != nil {
		_ = d.whole.Body.Close()
	}
}

// Open gives a part of the file. A connection that is lost is made again, from
// where it broke; a file that changed meanwhile is an error.
func (d *Download) Open(ctx context.Context, from, to int64) (io.ReadCloser, error) {
	begins := d.size - int64(len(d.tail))
	if from >= begins {
		return io.NopCloser(bytes.NewReader(d.tail[from-begins : to-begins])), nil
	}
	p := &part{d: d, ctx: ctx, at: from, end: min(to, begins)}
	if to <= begins {
		return p, nil
	}
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(p, bytes.NewReader(d.tail[:to-begins])), p}, nil
}

// part reads some of a file, over as many connections as it takes.
type part struct {
	d       *Download
	ctx     context.Context //nolint:containedctx // a reader for one call of Open
	at, end int64
	body    io.ReadCloser
	idle    *time.Timer
	losses  int
}

func (p *part) Read(b []byte) (int, error) {
	for p.at < p.end {
		if p.body == nil {
			if err := p.connect(); err != nil {
				return 0, p.d.c.refused(p.ctx, p.d.operation, err)
			}
		}
		p.idle.Reset(idleMost)
		n, err := p.body.Read(b[:min(int64(len(b)), p.end-p.at)])
		if p.at += int64(n); err != nil {
			p.drop()
		}
		if n > 0 {
			p.losses = 0
			return n, nil
		}
		if err == nil {
			continue
		}
		if p.losses++; p.losses > lossesMax || p.ctx.Err() != nil {
			return 0, p.d.c.refused(p.ctx, p.d.operation, wire.Clean(err))
		}
		p.d.c.o.Log.DebugContext(p.ctx, "resuming", "at", p.at, "error", wire.Clean(err))
	}
	return 0, io.EOF
}

func (p *part) connect() error {
	resp, err := p.d.get(p.ctx, fmt.Sprintf("bytes=%d-%d", p.at, p.end-1))
	if err != nil {
		return err
	}
	from, size, ok := contentRange(resp)
	tag := strong(resp.Header.Get("ETag"))
	if resp.StatusCode != http.StatusPartialContent || !ok || from != p.at || size != p.d.size || p.d.validator != "" && tag != p.d.validator {
		_ = resp.Body.Close()
		return fault.Newf(fault.Conflict, "%s: the archive changed while it was read", p.d.operation).Hintf("run the job again")
	}
	p.body = resp.Body
	p.idle = time.AfterFunc(idleMost, func() { _ = resp.Body.Close() })
	return nil
}

func (p *part) drop() {
	if p.body != nil {
		p.idle.Stop()
		_ = p.body.Close()
		p.body = nil
	}
}

func (p *part) Close() error {
	p.drop()
	return nil
}

// Small reads a whole file of at most that many bytes.
func (d *Download) Small(most int64) ([]byte, error) {
	if d.Ranges() {
		return d.tail, nil
	}
	body, err := io.ReadAll(io.LimitReader(d.whole.Body, most))
	return body, wire.Clean(err)
}

// Spool copies the whole file, for servers that know no parts. After a
// connection that broke it begins anew.
func (d *Download) Spool(ctx context.Context, to interface {
	io.WriteSeeker
	Truncate(size int64) error
}, most int64, progress func(done, total int64),
) (int64, error) {
	for losses := 0; ; losses++ {
		size, err := d.spool(to, most, progress)
		if err == nil || losses == lossesMax || ctx.Err() != nil || fault.KindOf(err) == fault.Repository {
			return size, d.c.refused(ctx, d.operation, wire.Clean(err))
		}
		if _, err := to.Seek(0, io.SeekStart); err != nil {
			return 0, err
		}
		if err := to.Truncate(0); err != nil {
			return 0, err
		}
		if d.whole, err = d.get(ctx, ""); err != nil {
			return 0, d.c.refused(ctx, d.operation, err)
		}
	}
}

func (d *Download) spool(to io.Writer, most int64, progress func(done, total int64)) (int64, error) {
	body := d.whole.Body
	defer func() { _ = body.Close() }()
	idle := time.AfterFunc(idleMost, func() { _ = body.Close() })
	defer idle.Stop()
	buffer := make([]byte, 128<<10)
	var done int64
	for {
		n, err := body.Read(buffer)
		idle.Reset(idleMost)
		if done += int64(n); done > most {
			return done, fault.Newf(fault.Repository, "%s: it is larger than %d bytes", d.operation, most).
				Hintf("hand over less, or raise --max-size")
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return done, err
		}
		if progress != nil {
			progress(done, d.whole.ContentLength)
		}
		switch {
		case err == io.EOF && (d.whole.ContentLength < 0 || done == d.whole.ContentLength):
			return done, nil
		case err == io.EOF:
			return done, io.ErrUnexpectedEOF
		case err != nil:
			return done, err
		}
	}
}
