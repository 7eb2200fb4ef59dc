package cloud_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"gitlab.com/towline/towline/pkg/fault"
)

const kmsKey = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"

// keyService answers as KMS does for one key, and signs with it.
func keyService(t *testing.T, key crypto.Signer, usage string, refuse string) *httptest.Server {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		operation := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "TrentService.")
		if operation == refuse {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"__type":"AccessDeniedException","message":"not you"}`))
			return
		}
		var in struct {
			Message                       []byte
			KeyID                         string `json:"KeyId"`
			MessageType, SigningAlgorithm string
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.KeyID != kmsKey {
			t.Errorf("%s asks for %q, %v", operation, in.KeyID, err)
		}
		answer := map[string]any{"KeyId": in.KeyID, "KeyUsage": usage, "KeySpec": "ECC_NIST_P256", "PublicKey": der}
		if operation == "Sign" {
			if in.MessageType != "DIGEST" || in.SigningAlgorithm != "ECDSA_SHA_256" {
				t.Errorf("Sign is asked for %s of a %s", in.SigningAlgorithm, in.MessageType)
			}
			sig, err := key.Sign(rand.Reader, in.Message, crypto.SHA256)
			if err != nil {
				t.Error(err)
			}
			answer = map[string]any{"KeyId": in.KeyID, "Signature": sig, "SigningAlgorithm": in.SigningAlgorithm}
		}
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	return server
}

func TestKMSSigns(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := connect(t, keyService(t, private, "SIGN_VERIFY", "").URL)
	key, err := c.SigningKey(context.Background(), kmsKey)
	if err != nil {
		t.Fatal(err)
	}
	sig, err := key.Sign(context.Background(), []byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte("hello"))
	if !key.Public().Equal(private.Public()) || !ecdsa.VerifyASN1(&private.PublicKey, sum[:], sig) {
		t.Error("the signature does not hold")
	}
}

func TestKMSKeysThatCannotSign(t *testing.T) {
	good, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		key    crypto.Signer
		usage  string
		refuse string
		arn    string
		kind   fault.Kind
		want   string
	}{
		{"another curve", curve, "SIGN_VERIFY", "", kmsKey, fault.Usage, "wanted ECC_NIST_P256 for SIGN_VERIFY"},
		{"RSA", other, "SIGN_VERIFY", "", kmsKey, fault.Usage, "wanted ECC_NIST_P256"},
		{"another purpose", good, "KEY_AGREEMENT", "", kmsKey, fault.Usage, "KEY_AGREEMENT"},
		{"no right to see it", good, "SIGN_VERIFY", "GetPublicKey", kmsKey, fault.Denied, "not you"},
		{"no ARN", good, "SIGN_VERIFY", "", "my-key", fault.Usage, "wanted arn:aws:kms:"},
	} {
		c := connect(t, keyService(t, tt.key, tt.usage, tt.refuse).URL)
		_, err := c.SigningKey(context.Background(), tt.arn)
		if err == nil || fault.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: SigningKey() = %v, want %q of kind %d", tt.name, err, tt.want, tt.kind)
		}
	}
	c := connect(t, keyService(t, good, "SIGN_VERIFY", "Sign").URL)
	key, err := c.SigningKey(context.Background(), kmsKey)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := key.Sign(context.Background(), nil); fault.KindOf(err) != fault.Denied || !strings.Contains(fault.HintOf(err), "kms:Sign") {
		t.Errorf("Sign() = %v, %q", err, fault.HintOf(err))
	}
}
