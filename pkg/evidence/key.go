package evidence

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
)

// Key signs with ECDSA on the curve P-256 over SHA-256. Its signatures are
// those of RFC 6979: the same key and message give the same signature, so that
// attesting twice is attesting once.
type Key struct{ private *ecdsa.PrivateKey }

// ParseKey reads a private key in PEM, as PKCS #8 or in the older form of
// SEC 1. Errors never quote it.
func ParseKey(text string) (Key, error) {
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return Key{}, errors.New("found no private key in PEM, wanted one in PKCS #8")
		}
		switch block.Type {
		case "PRIVATE KEY":
			parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
			if err != nil {
				return Key{}, errors.New("the private key in PKCS #8 is damaged")
			}
			private, ok := parsed.(*ecdsa.PrivateKey)
			if !ok {
				return Key{}, fmt.Errorf("found a private key of another kind (%T), wanted ECDSA on P-256", parsed)
			}
			return newKey(private)
		case "EC PRIVATE KEY":
			private, err := x509.ParseECPrivateKey(block.Bytes)
			if err != nil {
				return Key{}, errors.New("the private key in SEC 1 is damaged")
			}
			return newKey(private)
		case "ENCRYPTED PRIVATE KEY", "ENCRYPTED SIGSTORE PRIVATE KEY", "ENCRYPTED COSIGN PRIVATE KEY":
			return Key{}, errors.New("found an encrypted private key, wanted one without a password")
		}
	}
}

func newKey(private *ecdsa.PrivateKey) (Key, error) {
	return Key{private}, onP256(&private.PublicKey)
}

func onP256(public *ecdsa.PublicKey) error {
	if public.Curve != elliptic.P256() {
		return fmt.Errorf("found a key on the curve %s, wanted P-256", public.Params().Name)
	}
	return nil
}

// Sign gives the signature of a message, in ASN.1.
func (k Key) Sign(_ context.Context, message []byte) ([]byte, error) {
	sum := sha256.Sum256(message)
	return k.private.Sign(nil, sum[:], crypto.SHA256)
}

// Public is what checks the signatures.
func (k Key) Public() *ecdsa.PublicKey { return &k.private.PublicKey }

// ParsePublicKey reads a public key: in PEM or DER, as the subject's public
// key info of X.509. A private key in PEM counts as its public half.
func ParsePublicKey(text []byte) (*ecdsa.PublicKey, error) {
	block, _ := pem.Decode(text)
	if block != nil && block.Type != "PUBLIC KEY" {
		key, err := ParseKey(string(text))
		if err != nil {
			return nil, err
		}
		return key.Public(), nil
	}
	der := text
	if block != nil {
		der = block.Bytes
	}
	parsed, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, errors.New("found no public key, wanted one in PEM")
	}
	public, ok := parsed.(*ecdsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("found a public key of another kind (%T), wanted ECDSA on P-256", parsed)
	}
	return public, onP256(public)
}

// Hint names a public key: the sha256 of its DER form, in base64, which is the
// hint that sigstore's tools write and look for.
func Hint(public *ecdsa.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(der)
	return base64.StdEncoding.EncodeToString(sum[:]), nil
}
