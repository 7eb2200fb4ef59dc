package cli

import (
	"context"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"gitlab.com/towline/towline/pkg/bundle"
	"gitlab.com/towline/towline/pkg/cloud"
	"gitlab.com/towline/towline/pkg/evidence"
	"gitlab.com/towline/towline/pkg/fault"
	"gitlab.com/towline/towline/pkg/secret"
)

// Forms of a key besides a file.
const (
	keyInVariable = "env:"
	keyInKMS      = "awskms:"
)

// maxKeyFile is how many bytes of a key file are read.
const maxKeyFile = 64 << 10

// signs adds the flag of commands that publish evidence.
func (a *app) signs(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().StringVar(&a.signKey, "sign-key", "", "key that signs the evidence: a PEM file, env:NAME or awskms:ARN (TOWLINE_SIGN_KEY)")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if a.signKey == "" {
			a.signKey = a.getenv("TOWLINE_SIGN_KEY")
		}
		if strings.Contains(a.signKey, "-----BEGIN") { // and so is not quoted
			return fault.Newf(fault.Usage, "--sign-key: found a key, wanted the place of one").
				Hintf("pass env:NAME for a variable that holds the key itself")
		}
		return nil
	}
	return cmd
}

// signer is what signs evidence, or nil without a key. A key of KMS is asked
// for through the account that the command works in.
func (a *app) signer(ctx context.Context, c *cloud.Cloud) (bundle.Signer, error) {
	if a.signKey == "" {
		return nil, nil
	}
	if arn, ok := strings.CutPrefix(a.signKey, keyInKMS); ok {
		key, err := c.SigningKey(ctx, arn)
		if err != nil {
			return nil, err
		}
		return key, nil
	}
	text, err := a.keyText(a.signKey)
	if err != nil {
		return nil, err
	}
	key, err := evidence.ParseKey(text.Reveal())
	if err != nil {
		return nil, fault.Newf(fault.Usage, "--sign-key %s: %w", a.signKey, err).
			Hintf("make one: openssl ecparam -genkey -name prime256v1 -noout | openssl pkcs8 -topk8 -nocrypt -out key.pem")
	}
	return key, nil
}

// keyText is the content of a key's file or variable.
func (a *app) keyText(from string) (secret.Value, error) {
	if name, ok := strings.CutPrefix(from, keyInVariable); ok {
		value := a.getenv(name)
		if value == "" {
			return secret.Value{}, fault.Newf(fault.Missing, "read the key: the variable %s is not set", name).
				Hintf("set it to the key in PEM; for a GitLab variable of type file, pass its value as the file's name instead")
		}
		return secret.New(value), nil
	}
	file, err := os.Open(from)
	if err != nil {
		return secret.Value{}, fault.Newf(fault.Missing, "read the key: %w", err).Hintf("pass the name of a file in PEM, env:NAME or awskms:ARN")
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, maxKeyFile))
	if err != nil {
		return secret.Value{}, fault.Newf(fault.Missing, "read the key %s: %w", from, err)
	}
	return secret.New(string(text)), nil
}
