// Package protocol is the wire of the local cloud: which service a request is
// for, and the JSON, query and REST forms of requests, answers and errors.
//
// In come HTTP requests; out go decoded values and well-formed answers. It
// keeps no state, knows no service's rules, and never answers HTML.
package protocol

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// MaxBody is the largest request of a JSON service, in bytes.
const MaxBody = 4 << 20

// Error is what a service answers instead of a result.
type Error struct {
	Status  int    // HTTP; 400 if zero
	Code    string // ValidationException, ResourceInUse, …
	Message string
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Errorf makes an error that is the caller's mistake, HTTP 400.
func Errorf(code, format string, args ...any) *Error {
	return &Error{Status: http.StatusBadRequest, Code: code, Message: fmt.Sprintf(format, args...)}
}

// UnknownOperation answers an operation that the local cloud has not got.
func UnknownOperation(service, operation string) *Error {
	if operation == "" {
		return Errorf("UnknownOperationException", "The local cloud has no service %s.", service)
	}
	return Errorf("UnknownOperationException", "The local cloud has no operation %s in %s.", operation, service)
}

// AsError gives err the form of an answer. A full disk is told as such, with a
// status that clients do not repeat.
func AsError(err error) *Error {
	var e *Error
	switch {
	case errors.As(err, &e):
		if e.Status == 0 {
			e = &Error{Status: http.StatusBadRequest, Code: e.Code, Message: e.Message}
		}
		return e
	case errors.Is(err, syscall.ENOSPC):
		return &Error{Status: http.StatusInsufficientStorage, Code: "InternalFailure", Message: "The local cloud's disk is full: " + err.Error()}
	}
	return &Error{Status: http.StatusInternalServerError, Code: "InternalFailure", Message: err.Error()}
}

// Time is a moment as JSON services send it: seconds since 1970 with a fraction.
type Time struct{ time.Time }

// MarshalJSON writes milliseconds as a fraction; the zero time is null.
func (t Time) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte("null"), nil
	}
	return strconv.AppendFloat(nil, float64(t.UnixMilli())/1000, 'f', 3, 64), nil
}

// UnmarshalJSON reads seconds, as a number; null is the zero time.
func (t *Time) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*t = Time{}
		return nil
	}
	var seconds float64
	if err := json.Unmarshal(b, &seconds); err != nil {
		return &json.UnmarshalTypeError{Value: "string", Type: nil, Field: "timestamp"}
	}
	*t = Time{time.UnixMilli(int64(math.Round(seconds * 1000))).UTC()}
	return nil
}

// Decode reads a JSON request. Members that it does not know are ignored; a
// member of the wrong type is a SerializationException.
func Decode(body []byte, into any) error {
	if len(bytes.TrimSpace(body)) == 0 {
		body = []byte("{}")
	}
	err := json.Unmarshal(body, into)
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return Errorf("SerializationException", "%s can not be converted to the type of %s", strings.ToUpper(wrong.Value)+"_VALUE", wrong.Field)
	}
	if err != nil {
		return Errorf("SerializationException", "the request is not JSON: %v", err)
	}
	return nil
}

// Body reads a request of limited size.
func Body(r *http.Request, limit int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	if err != nil {
		return nil, Errorf("SerializationException", "the request ended early: %v", err)
	}
	if int64(len(body)) > limit {
		return nil, &Error{Status: http.StatusRequestEntityTooLarge, Code: "RequestEntityTooLargeException", Message: fmt.Sprintf("the request is larger than %d bytes", limit)}
	}
	return body, nil
}

// JSON serves operations in awsjson 1.1: each takes the body of a request and
// gives what is written as its answer.
func JSON(operations func(operation string, body []byte) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := Body(r, MaxBody)
		if err != nil {
			WriteError(w, err)
			return
		}
		_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		answer, err := operations(operation, body)
		if err != nil {
			WriteError(w, err)
			return
		}
		WriteJSON(w, http.StatusOK, answer)
	})
}

// WriteJSON writes an answer; nil is an empty body, as AWS gives for
// operations without output.
func WriteJSON(w http.ResponseWriter, status int, answer any) {
	var body []byte
	if answer != nil {
		var err error
		if body, err = json.Marshal(answer); err != nil {
			status, body = http.StatusInternalServerError, []byte(`{"__type":"InternalFailure"}`)
		}
	}
	write(w, status, "application/x-amz-json-1.1", body)
}

// WriteError writes an error of a JSON service.
func WriteError(w http.ResponseWriter, err error) {
	e := AsError(err)
	w.Header().Set("X-Amzn-Errortype", e.Code)
	WriteJSON(w, e.Status, map[string]string{"__type": e.Code, "message": e.Message})
}

// WriteXML writes an answer of a query service.
func WriteXML(w http.ResponseWriter, status int, answer any) {
	body, err := xml.Marshal(answer)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte("<ErrorResponse/>")
	}
	write(w, status, "text/xml", append([]byte(xml.Header), body...))
}

type queryError struct {
	XMLName struct{} `xml:"ErrorResponse"`
	Type    string   `xml:"Error>Type"`
	Code    string   `xml:"Error>Code"`
	Message string   `xml:"Error>Message"`
}

// WriteQueryError writes an error of a query service.
func WriteQueryError(w http.ResponseWriter, err error) {
	e := AsError(err)
	kind := "Sender"
	if e.Status >= http.StatusInternalServerError {
		kind = "Receiver"
	}
	WriteXML(w, e.Status, queryError{Type: kind, Code: e.Code, Message: e.Message})
}

// writeS3Error writes an error of S3; an answer to HEAD has no body.
func writeS3Error(w http.ResponseWriter, r *http.Request, err error) {
	e := AsError(err)
	if r.Method == http.MethodHead {
		w.WriteHeader(e.Status)
		return
	}
	WriteXML(w, e.Status, struct {
		XMLName xml.Name `xml:"Error"`
		Code    string   `xml:"Code"`
		Message string   `xml:"Message"`
	}{Code: e.Code, Message: e.Message})
}

func write(w http.ResponseWriter, status int, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that went away is not told
}
