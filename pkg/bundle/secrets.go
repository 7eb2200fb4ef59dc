package bundle

import (
	"bytes"
	"io"
	"os"
	"path"
	"strings"

	"gitlab.com/towline/towline/pkg/fault"
)

// secretNames are files that hold credentials by convention.
var secretNames = map[string]bool{
	".env": true, ".netrc": true, "_netrc": true, ".pypirc": true, ".pgpass": true, ".git-credentials": true,
	"id_rsa": true, "id_dsa": true, "id_ecdsa": true, "id_ed25519": true,
}

// secretPaths are ends of paths that hold credentials by convention.
var secretPaths = []string{".aws/credentials", ".docker/config.json", ".ssh/config"}

// keyMark stands in every PEM form of a private key.
var keyMark = []byte("PRIVATE KEY-----")

// maxKeyFile is the most that is searched for a private key, in bytes.
const maxKeyFile = 1 << 20

// refuseSecret fails for a file that would publish a credential.
func refuseSecret(name, onDisk string) error {
	why := secretName(name)
	if why == "" {
		holds, err := holdsKey(name, onDisk)
		if err != nil {
			return diskFault("read "+name, err)
		}
		if !holds {
			return nil
		}
		why = "a private key"
	}
	return fault.Newf(fault.Repository, "package %s: %s must not enter an image", name, why).
		Hintf("remove the file or name it in .towlineignore; give secrets to a model by its environment or by Secrets Manager")
}

func secretName(name string) string {
	base := path.Base(name)
	if secretNames[base] || isDotenv(base) {
		return "a file of credentials"
	}
	for _, end := range secretPaths {
		if name == end || strings.HasSuffix(name, "/"+end) {
			return "a file of credentials"
		}
	}
	return ""
}

// isDotenv knows .env.local and .env.prod, and lets templates pass.
func isDotenv(base string) bool {
	kind, dotted := strings.CutPrefix(base, ".env.")
	switch kind {
	case "example", "sample", "template", "dist":
		return false
	}
	return dotted
}

func holdsKey(name, onDisk string) (bool, error) {
	switch path.Ext(name) {
	case ".pem", ".key", ".p8", ".ppk":
	default:
		return false, nil
	}
	file, err := os.Open(onDisk)
	if err != nil {
		return false, err
	}
	defer func() { _ = file.Close() }()
	text, err := io.ReadAll(io.LimitReader(file, maxKeyFile))
	return bytes.Contains(text, keyMark), err
}
