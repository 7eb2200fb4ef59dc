package evidence

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// sigstore's bundle with a DSSE envelope, as far as a signature by a key needs
// it: https://github.com/sigstore/protobuf-specs (bundle v0.3) and
// https://github.com/secure-systems-lab/dsse. A signature without a key of
// one's own would put a certificate beside the hint, and entries into the log.
type bundle struct {
	MediaType            string               `json:"mediaType"`
	VerificationMaterial verificationMaterial `json:"verificationMaterial"`
	Envelope             *envelope            `json:"dsseEnvelope"`
}

type verificationMaterial struct {
	PublicKey *publicKey `json:"publicKey,omitempty"`
}

type publicKey struct {
	Hint string `json:"hint"`
}

type envelope struct {
	Payload     []byte      `json:"payload"`
	PayloadType string      `json:"payloadType"`
	Signatures  []signature `json:"signatures"`
}

type signature struct {
	Sig   []byte `json:"sig"`
	KeyID string `json:"keyid,omitempty"`
}

// maxSignatures is how many signatures of one envelope are tried.
const maxSignatures = 10

// ToSign is the message that a signature of the statement is over: DSSE's
// pre-authentication encoding.
func ToSign(statement []byte) []byte {
	return preAuthentication(TypeStatement, statement)
}

func preAuthentication(payloadType string, payload []byte) []byte {
	var text bytes.Buffer
	for _, part := range [][]byte{[]byte("DSSEv1"), []byte(payloadType), payload} {
		if text.Len() > 0 {
			text.WriteString(" " + strconv.Itoa(len(part)) + " ")
		}
		text.Write(part)
	}
	return text.Bytes()
}

// Seal puts a statement and its signature into a bundle.
func Seal(statement, sig []byte, public *ecdsa.PublicKey) ([]byte, error) {
	hint, err := Hint(public)
	if err != nil {
		return nil, err
	}
	return compact(bundle{
		MediaType:            TypeBundle,
		VerificationMaterial: verificationMaterial{PublicKey: &publicKey{Hint: hint}},
		Envelope:             &envelope{Payload: statement, PayloadType: TypeStatement, Signatures: []signature{{Sig: sig}}},
	})
}

// Open gives the statement of a bundle that the key has signed.
func Open(sealed []byte, public *ecdsa.PublicKey) ([]byte, error) {
	var b bundle
	if err := json.Unmarshal(sealed, &b); err != nil {
		return nil, err
	}
	switch {
	case b.MediaType != TypeBundle:
		return nil, fmt.Errorf("it is %q, wanted %s", clip(b.MediaType), TypeBundle)
	case b.Envelope == nil || b.Envelope.PayloadType != TypeStatement:
		return nil, fmt.Errorf("it holds no envelope of type %s", TypeStatement)
	}
	sum := sha256.Sum256(preAuthentication(b.Envelope.PayloadType, b.Envelope.Payload))
	for i, s := range b.Envelope.Signatures {
		if i < maxSignatures && ecdsa.VerifyASN1(public, sum[:], s.Sig) {
			return b.Envelope.Payload, nil
		}
	}
	return nil, errors.New("no signature in it is by this key")
}

// digestOf is the digest of a document, sha256:….
func digestOf(text []byte) string {
	sum := sha256.Sum256(text)
	return "sha256:" + hex.EncodeToString(sum[:])
}
