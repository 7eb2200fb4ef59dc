package python

import (
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
)

// wide is a charset of several bytes per character that CPython reads too;
// nil for one that is not known.
func wide(name string) encoding.Encoding {
	switch name {
	case "euc-jp", "eucjp", "ujis", "u-jis":
		return japanese.EUCJP
	case "shift-jis", "shiftjis", "sjis", "s-jis", "cp932", "932", "ms932":
		return japanese.ShiftJIS
	case "iso2022-jp", "iso-2022-jp", "csiso2022jp":
		return japanese.ISO2022JP
	case "euc-kr", "euckr", "cp949", "949", "uhc", "ms949", "korean":
		return korean.EUCKR
	case "gb2312", "gb-2312-80", "euc-cn", "euccn", "chinese", "gbk", "936", "cp936", "ms936":
		return simplifiedchinese.GBK
	case "gb18030", "gb18030-2000":
		return simplifiedchinese.GB18030
	case "big5", "big5-tw", "csbig5", "cp950", "950", "ms950", "big5-hkscs":
		return traditionalchinese.Big5
	}
	return nil
}

// decodeWide reads a text of a wide charset. What does not belong to it is
// U+FFFD.
func decodeWide(text []byte, from encoding.Encoding) string {
	decoded, err := from.NewDecoder().Bytes(text)
	if err != nil {
		return ""
	}
	return string(decoded)
}
