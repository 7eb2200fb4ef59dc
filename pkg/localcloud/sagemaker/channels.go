package sagemaker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"gitlab.com/towline/towline/pkg/localcloud/objects"
	"gitlab.com/towline/towline/pkg/localcloud/store"
)

// checkOutput finds a missing bucket before the work, not after it.
func (r *run) checkOutput() error {
	bucket, _, ok := s3URI(r.in.OutputDataConfig.S3OutputPath)
	if !ok || !r.s.o.Objects.HasBucket(bucket) {
		return clientError{fmt.Sprintf("NoSuchBucket: the bucket of S3OutputPath %s does not exist", r.in.OutputDataConfig.S3OutputPath)}
	}
	return nil
}

// prepare lays out /opt/ml.
func (r *run) prepare(ctx context.Context) error {
	for _, sub := range []string{"input/config", "input/data", "model", "output/data", "checkpoints"} {
		if err := os.MkdirAll(filepath.Join(r.dir, filepath.FromSlash(sub)), 0o755); err != nil {
			return err
		}
	}
	if err := r.writeConfig(); err != nil {
		return err
	}
	for _, ch := range r.in.InputDataConfig {
		if err := r.download(ctx, filepath.Join(r.dir, "input", "data", ch.ChannelName), ch.DataSource.S3DataSource.S3Uri); err != nil {
			return err
		}
	}
	if r.in.CheckpointConfig == nil {
		return nil
	}
	err := r.download(ctx, filepath.Join(r.dir, "checkpoints"), r.in.CheckpointConfig.S3Uri)
	if empty := (clientError{}); errors.As(err, &empty) {
		return nil // the first run of a job has none
	}
	return err
}

func (r *run) writeConfig() error {
	hyperparameters := r.in.HyperParameters
	if hyperparameters == nil {
		hyperparameters = map[string]string{}
	}
	channels := map[string]map[string]string{}
	for _, ch := range r.in.InputDataConfig {
		channels[ch.ChannelName] = ch.config(r.in.AlgorithmSpecification.TrainingInputMode)
	}
	const group, host = "homogeneousCluster", "algo-1"
	instance := r.in.ResourceConfig.InstanceType
	resources := map[string]any{
		"current_host": host, "current_instance_type": instance, "current_group_name": group,
		"hosts":                  []string{host},
		"instance_groups":        []any{map[string]any{"instance_group_name": group, "instance_type": instance, "hosts": []string{host}}},
		"network_interface_name": "lo",
	}
	dir := filepath.Join(r.dir, "input", "config")
	return errors.Join(
		store.Write(filepath.Join(dir, "hyperparameters.json"), hyperparameters),
		store.Write(filepath.Join(dir, "inputdataconfig.json"), channels),
		store.Write(filepath.Join(dir, "resourceconfig.json"), resources),
	)
}

func (ch channel) config(mode string) map[string]string {
	or := func(value, fallback string) string {
		if value == "" {
			return fallback
		}
		return value
	}
	config := map[string]string{
		"TrainingInputMode":  or(ch.InputMode, mode),
		"S3DistributionType": or(ch.DataSource.S3DataSource.S3DataDistributionType, "FullyReplicated"),
		"RecordWrapperType":  or(ch.RecordWrapperType, "None"),
	}
	if ch.ContentType != "" {
		config["ContentType"] = ch.ContentType
	}
	return config
}

// download copies what lies under a prefix into a folder. It copies rather
// than links: what a program does to its input must not reach the store.
func (r *run) download(ctx context.Context, dir, uri string) error {
	bucket, prefix, ok := s3URI(uri)
	if !ok {
		return clientError{fmt.Sprintf("Data download failed: %s is not an S3 URI", uri)}
	}
	list, err := r.s.o.Objects.List(bucket, prefix)
	if errors.Is(err, objects.ErrNoBucket) {
		return clientError{fmt.Sprintf("Data download failed:NoSuchBucket: the bucket of %s does not exist", uri)}
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }() // a folder
	files := 0
	for _, object := range list {
		name := below(prefix, object.Key)
		if name == "" || strings.HasSuffix(name, "/") {
			continue // an empty object that stands for a folder
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if err := r.fetch(root, name, bucket, object.Key); err != nil {
			return fmt.Errorf("download s3://%s/%s: %w", bucket, object.Key, err)
		}
		files++
	}
	if files == 0 {
		return clientError{fmt.Sprintf("Data download failed:NoSuchKey: No objects were found under %s", uri)}
	}
	return nil
}

// below is where an object lies under its channel's folder: a prefix that ends
// within a name counts up to its last slash.
func below(prefix, key string) string {
	rest := key[len(prefix):]
	switch {
	case rest == "":
		return path.Base(key)
	case strings.HasSuffix(prefix, "/") || prefix == "":
		return rest
	case strings.HasPrefix(rest, "/"):
		return rest[1:]
	}
	return key[strings.LastIndex(prefix, "/")+1:]
}

func (r *run) fetch(root *os.Root, name, bucket, key string) (err error) {
	if !filepath.IsLocal(filepath.FromSlash(name)) {
		return clientError{fmt.Sprintf("Data download failed: the key %s is no path", key)}
	}
	content, err := r.s.o.Objects.Get(bucket, key)
	if err != nil {
		return err
	}
	defer func() { _ = content.Close() }() // it was only read
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := root.Create(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Close())
}

// saveCheckpoints uploads what the program left in its checkpoints' folder.
func (r *run) saveCheckpoints(ctx context.Context) error {
	bucket, prefix, ok := s3URI(r.in.CheckpointConfig.S3Uri)
	if !ok {
		return clientError{fmt.Sprintf("%s is not an S3 URI", r.in.CheckpointConfig.S3Uri)}
	}
	root, err := folder{r.dir, "checkpoints"}.open()
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }() // it was only read
	return fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		if err := context.Cause(ctx); err != nil {
			return err
		}
		f, err := root.Open(name)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }() // it was only read
		return r.s.o.Objects.Put(bucket, path.Join(prefix, name), f)
	})
}
