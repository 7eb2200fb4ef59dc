package bundle

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/renameio/v2"
	"github.com/klauspost/compress/gzip"
)

// A file gets a layer of its own from these sizes on, in bytes: whatever it
// holds, or if its name says that it does not compress.
const (
	largeFile        = 64 << 20
	largeIncompress  = 4 << 20
	maxWeightLayers  = 16
	sampledForWeight = 1 << 20
)

// incompressible are the endings of files that hold numbers or compressed data.
var incompressible = map[string]bool{
	".safetensors": true, ".gguf": true, ".onnx": true, ".pt": true, ".pth": true, ".bin": true,
	".joblib": true, ".npz": true, ".parquet": true,
}

// parted is a model's files, by how they are packed.
type parted struct {
	code    []File
	weights [][]File // each a layer: large files first, the last may hold many
	text    []File   // large files that compress; each a layer
}

// part tells weights from code. All but the largest share the last layer, for
// an image can hold so many layers only.
func part(files []File) (parted, error) {
	var p parted
	var weights []File
	for _, file := range files {
		known := incompressible[strings.ToLower(path.Ext(file.Path))]
		switch {
		case known && file.Size >= largeIncompress:
			weights = append(weights, file)
		case file.Size < largeFile:
			p.code = append(p.code, file)
		default:
			shrinks, err := file.shrinks()
			if err != nil {
				return parted{}, err
			}
			if shrinks {
				p.text = append(p.text, file)
			} else {
				weights = append(weights, file)
			}
		}
	}
	slices.SortStableFunc(weights, func(a, b File) int { return cmp.Compare(b.Size, a.Size) })
	for i, file := range weights {
		if i < maxWeightLayers {
			p.weights = append(p.weights, nil)
		}
		last := len(p.weights) - 1
		p.weights[last] = append(p.weights[last], file)
	}
	for _, layer := range p.weights {
		slices.SortFunc(layer, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	}
	return p, nil
}

// shrinks says whether the beginning of a file compresses by a tenth or more.
func (f File) shrinks() (bool, error) {
	file, err := os.Open(f.onDisk)
	if err != nil {
		return false, diskFault("read "+f.Path, err)
	}
	defer func() { _ = file.Close() }()
	packed, err := packedSize(file, sampledForWeight)
	return packed < sampledForWeight*9/10, diskFault("read "+f.Path, err)
}

// contentKey is a hash of what the files are and where they go.
func contentKey(form string, files []File) (string, error) {
	sums, err := digests(files)
	if err != nil {
		return "", err
	}
	return keyOf(form, files, sums), nil
}

// keyOf is contentKey for files whose digests are known.
func keyOf(form string, files []File, digests []string) string {
	sum := sha256.New()
	_, _ = fmt.Fprintf(sum, "layout %s\ncompressor %s\n", LayoutVersion, form)
	for i, file := range files {
		_, _ = fmt.Fprintf(sum, "%q %o %s\n", file.Path, file.Mode, digests[i])
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// weights gives the layer of some weights. Nothing is copied: the layer is
// known by its digest, and made from the files whenever it is sent.
func (b *Bundler) weights(ctx context.Context, files []File, past *past, run *ahead) (blob, error) {
	if !recalled(files) && !past.mayHold(ctx, total(files)) {
		return b.newWeights(ctx, files, past, run)
	}
	key, err := contentKey(storedForm, files)
	if err != nil {
		return blob{}, err
	}
	about := "weights: " + fileNames(files)
	if layer, ok := b.knownWeights(key); ok {
		layer.About, layer.weights = about, files
		layer.note(howCached, "the same files as before, and not read again")
		return layer, nil
	}
	if layers, ok := past.find(ctx, key, 1); ok {
		layer := layers[0]
		run.known(layer)
		layer.About, layer.weights, layer.file, layer.registry = about, files, "", ""
		b.keepWeights(key, layer)
		return layer, nil
	}
	layer, err := b.makeWeights(ctx, stored{items: programItems(files)}, total(files), past, run)
	if err != nil {
		return blob{}, err
	}
	return b.describedWeights(layer.blob, key, files), nil
}

// makeWeights reads the files, and sends the layer meanwhile if the repository
// cannot have it.
func (b *Bundler) makeWeights(ctx context.Context, from stored, size int64, past *past, run *ahead) (flowed, error) {
	if run != nil && past.unheardOf(ctx, run.to) {
		if layer, ok := run.stream(from, size); ok {
			return layer, nil
		}
	}
	layer, err := from.describe(ctx, io.Discard)
	return layer, diskFault("read weights", err)
}

func recalled(files []File) bool {
	return !slices.ContainsFunc(files, func(file File) bool {
		_, known := file.recalled()
		return !known
	})
}

// newWeights gives the layer of weights that nothing is known of: they are read
// once, for their own digests and the layer's.
func (b *Bundler) newWeights(ctx context.Context, files []File, past *past, run *ahead) (blob, error) {
	before := make([]fs.FileInfo, len(files))
	for i, file := range files {
		info, err := os.Stat(file.onDisk)
		if err != nil {
			return blob{}, diskFault("read "+file.Path, err)
		}
		before[i] = info
	}
	layer, err := b.makeWeights(ctx, stored{items: programItems(files), sums: true}, total(files), past, run)
	if err != nil {
		return blob{}, err
	}
	for i, file := range files {
		file.remember(before[i], layer.sums[i])
	}
	return b.describedWeights(layer.blob, keyOf(storedForm, files, layer.sums), files), nil
}

func (b *Bundler) describedWeights(layer blob, key string, files []File) blob {
	layer.Key, layer.About, layer.weights = layerKey(key, 0, 1), "weights: "+fileNames(files), files
	b.keepWeights(key, layer)
	layer.note(howBuilt, "new or changed files; stored as they are, and sent from where they lie")
	return layer
}

// packedSize is what so many bytes at most are compressed to; too few to tell
// count as whole.
func packedSize(from io.Reader, most int64) (int64, error) {
	packed := newMeter()
	zip, err := gzip.NewWriterLevel(packed, gzip.BestSpeed)
	if err != nil {
		return 0, err
	}
	_, err = io.CopyN(zip, from, most)
	return packed.n, errors.Join(err, zip.Close())
}

func (b *Bundler) knownWeights(key string) (blob, bool) {
	text, err := os.ReadFile(b.cacheEntry(key))
	if err != nil {
		return blob{}, false
	}
	var entry cached
	if json.Unmarshal(text, &entry) != nil || entry.Key != key || len(entry.Layers) != 1 {
		return blob{}, false
	}
	return entry.Layers[0], true
}

// keepWeights may fail: then the files are read again next time.
func (b *Bundler) keepWeights(key string, layer blob) {
	text, err := json.Marshal(cached{Key: key, Layers: []blob{layer}})
	if err != nil || os.MkdirAll(filepath.Dir(b.cacheEntry(key)), 0o755) != nil {
		return
	}
	_ = renameio.WriteFile(b.cacheEntry(key), append(text, '\n'), 0o644)
}

// fileNames lists files for the image's history.
func fileNames(files []File) string {
	const most = 3
	var list []string
	for _, file := range files[:min(len(files), most)] {
		list = append(list, file.Path)
	}
	if len(files) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(list, ", "), len(files)-most)
	}
	return strings.Join(list, ", ")
}
