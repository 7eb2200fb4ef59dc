package cli

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"gitlab.com/towline/towline/pkg/fault"
)

// optML is the folder that a program sees as /opt/ml, as SageMaker lays it out.
// https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo.html
type optML struct {
	dir             string
	fresh           bool              // nothing is kept of what was there
	channels        map[string]string // name → folder that is copied there; "" for one that is there
	hyperparameters map[string]string
	modelFrom       string // folder that is copied there, for a server
}

func (ml optML) model() string  { return filepath.Join(ml.dir, "model") }
func (ml optML) output() string { return filepath.Join(ml.dir, "output") }

// serves chooses the model: the one given, or what the last training left.
func (ml *optML) serves(given, trained string) error {
	switch {
	case given != "" && !isFolder(given):
		return fault.Newf(fault.Missing, "--model-dir %s: no such folder", given)
	case given != "":
		ml.modelFrom = given
	case !ml.fresh && isFolder(ml.model()):
	case isFolder(trained):
		ml.modelFrom = trained
	default:
		return fault.Newf(fault.Missing, "image run: no model to serve").
			Hintf("run towline image run train first, or pass --model-dir")
	}
	return nil
}

// write lays the folder out. What the user has put there is kept.
func (ml optML) write() error {
	err := ml.layOut()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrPermission):
		return fault.Newf(fault.Denied, "image run: lay out %s: %w", ml.dir, err).
			Hintf("remove the folder; if a container wrote to it as root, as root")
	}
	return fault.Newf(fault.Remote, "image run: lay out %s: %w", ml.dir, err)
}

func (ml optML) layOut() error {
	if ml.fresh {
		if err := os.RemoveAll(ml.dir); err != nil {
			return err
		}
	}
	for _, sub := range []string{"input/config", "input/data", "model", "output/data", "checkpoints"} {
		if err := os.MkdirAll(filepath.Join(ml.dir, filepath.FromSlash(sub)), 0o755); err != nil {
			return err
		}
	}
	if ml.modelFrom != "" {
		if err := os.CopyFS(ml.model(), os.DirFS(ml.modelFrom)); err != nil {
			return err
		}
	}
	for name, folder := range ml.channels {
		to := filepath.Join(ml.dir, "input", "data", name)
		if folder == "" || isFolder(to) {
			continue
		}
		if err := os.CopyFS(to, os.DirFS(folder)); err != nil {
			return err
		}
	}
	return ml.writeConfig()
}

// writeConfig writes the three documents, each unless it is there.
func (ml optML) writeConfig() error {
	hyperparameters := ml.hyperparameters
	if hyperparameters == nil {
		hyperparameters = map[string]string{}
	}
	channels := map[string]any{}
	for name := range ml.channels {
		channels[name] = map[string]string{"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated", "RecordWrapperType": "None"}
	}
	for name, document := range map[string]any{
		"hyperparameters.json": hyperparameters,
		"inputdataconfig.json": channels,
		"resourceconfig.json": map[string]any{
			"current_host": "algo-1", "hosts": []string{"algo-1"}, "network_interface_name": "lo",
		},
	} {
		path := filepath.Join(ml.dir, "input", "config", name)
		if _, err := os.Stat(path); err == nil {
			continue
		}
		text, err := json.MarshalIndent(document, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
			return err
		}
	}
	return nil
}
