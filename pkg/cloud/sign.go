package cloud

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"regexp"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"gitlab.com/towline/towline/pkg/fault"
)

// signingKeys is the part of KMS that signs.
type signingKeys interface {
	GetPublicKey(context.Context, *kms.GetPublicKeyInput, ...func(*kms.Options)) (*kms.GetPublicKeyOutput, error)
	Sign(context.Context, *kms.SignInput, ...func(*kms.Options)) (*kms.SignOutput, error)
}

// SigningKey is a key that never leaves KMS.
type SigningKey struct {
	api    signingKeys
	arn    string
	public *ecdsa.PublicKey
}

var kmsARN = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^arn:aws[a-z-]*:kms:([a-z0-9-]+):\d{12}:(?:key|alias)/[A-Za-z0-9/_-]+$`)
})

// SigningKey finds a key of KMS, which must be for signing, on the curve
// P-256. The region is that of the ARN.
func (c *Cloud) SigningKey(ctx context.Context, arn string) (*SigningKey, error) {
	parts := kmsARN().FindStringSubmatch(arn)
	if parts == nil {
		return nil, fault.Newf(fault.Usage, "find KMS key %q: wanted arn:aws:kms:REGION:ACCOUNT:key/ID or …:alias/NAME", arn)
	}
	return signingKey(ctx, kms.NewFromConfig(c.aws, func(o *kms.Options) { o.Region = parts[1] }), arn)
}

func signingKey(ctx context.Context, api signingKeys, arn string) (*SigningKey, error) {
	answer, err := api.GetPublicKey(ctx, &kms.GetPublicKeyInput{KeyId: aws.String(arn)})
	if err != nil {
		return nil, call{"find KMS key " + arn, "kms:GetPublicKey"}.fault(err)
	}
	parsed, err := x509.ParsePKIXPublicKey(answer.PublicKey)
	public, ok := parsed.(*ecdsa.PublicKey)
	if err != nil || !ok || public.Curve != elliptic.P256() || answer.KeyUsage != types.KeyUsageTypeSignVerify {
		return nil, fault.Newf(fault.Usage, "find KMS key %s: it is %s for %s, wanted ECC_NIST_P256 for SIGN_VERIFY", arn, answer.KeySpec, answer.KeyUsage).
			Hintf("create a key of that kind: aws kms create-key --key-spec ECC_NIST_P256 --key-usage SIGN_VERIFY")
	}
	return &SigningKey{api: api, arn: arn, public: public}, nil
}

// Sign gives the ECDSA signature over the message's SHA-256, in ASN.1.
func (k *SigningKey) Sign(ctx context.Context, message []byte) ([]byte, error) {
	sum := sha256.Sum256(message)
	answer, err := k.api.Sign(ctx, &kms.SignInput{
		KeyId: aws.String(k.arn), Message: sum[:], MessageType: types.MessageTypeDigest,
		SigningAlgorithm: types.SigningAlgorithmSpecEcdsaSha256,
	})
	if err != nil {
		return nil, call{"sign with KMS key " + k.arn, "kms:Sign"}.fault(err)
	}
	return answer.Signature, nil
}

// Public is what checks the signatures.
func (k *SigningKey) Public() *ecdsa.PublicKey { return k.public }
