//go:build linux

package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// things that are done to a repository, each on a fresh machine.
const (
	cold = iota
	unchanged
	edited
	things
)

var thing = [things]string{"cold", "nothing changed, fresh", "code changed, fresh"}

// table is what each tool took for each thing, round by round.
type table map[string][things][]figure

func (t table) add(tool string, what int, f figure) {
	row := t[tool]
	row[what] = append(row[what], f)
	t[tool] = row
}

func (t table) middle(tool string, what int) figure { return median(t[tool][what]) }

// install is a column of its own: what the installation of the dependencies
// takes, which is in towline's figures and which the peers are spared.
const install = "installation"

// bytecode is another: compiling the modules for a quick start, as Python's own
// compileall does it for reproducible files, without the packages' tests.
const bytecode = "bytecode"

// alone is a row: towline's packing and publishing without installation and bytecode.
const alone = "towline alone"

// compare prints how towline does against a peer. The peer is spared the
// installation and the bytecode. So two figures are judged: of both without
// them, and of both with them, which is from the same repository to the same
// image on a fresh machine.
func (b *bench) compare(t table, tool string, what int, limit float64) error {
	ours, theirs := t.middle("towline", what), t.middle(tool, what)
	var apart error
	if what == cold {
		apart = b.want("cold, packing and publishing alone, of "+tool, ratio(t.middle(alone, cold), theirs), limit, "")
	}
	fmt.Printf("  %-58s %8.2f\n", thing[what]+", of "+tool+" spared the installation", ratio(ours, theirs))
	theirs.took += t.middle(install, cold).took
	if len(t[bytecode][cold]) > 0 {
		compiled := t.middle(bytecode, cold)
		fmt.Printf("  %-58s %8.2f\n", thing[what]+", of "+tool+" spared the bytecode", ratio(ours, theirs))
		theirs.took += compiled.took
	}
	return errors.Join(apart, b.want(thing[what]+", of "+tool, ratio(ours, theirs), limit, ""))
}

func (t table) print(tools []string) {
	for what := range things {
		fmt.Printf("  %s\n", thing[what])
		for _, tool := range tools {
			if len(t[tool][what]) == 0 {
				continue
			}
			f := t.middle(tool, what)
			fmt.Printf("    %-14s %8.2f s   sent %8.3f MB   received %8.3f MB\n", tool, f.took.Seconds(), float64(f.up)/1e6, float64(f.down)/1e6)
		}
	}
}

// round lets everybody do everything once, in turn.
func (b *bench) round(t table, s source, name string, seed uint64, peers []peer) error {
	f, err := b.measure(func() error { return b.install(s, filepath.Join(b.dir, name, "again"), peersCache) })
	if err != nil {
		return err
	}
	t.add(install, cold, f)
	if s.modules {
		if f, err = b.measure(func() error { return b.compile(filepath.Join(b.dir, name, "again")) }); err != nil {
			return err
		}
		t.add(bytecode, cold, f)
	}
	for what := range things {
		if what == edited {
			if err := s.edit(seed); err != nil {
				return err
			}
		}
		f, r, err := b.ours(s, name+"/towline", "")
		if err != nil {
			return err
		}
		if what == cold {
			fmt.Printf("    %s: %v\n", name, r.Said)
		}
		t.add("towline", what, f)
		if what == cold {
			if f, err = b.oursAlone(s, name+"/alone"); err != nil {
				return err
			}
			t.add(alone, cold, f)
		}
		for _, p := range peers {
			f, err := b.by(p, s, name+"/"+safe(p.name))
			if err != nil {
				return err
			}
			t.add(p.name, what, f)
		}
	}
	return nil
}

func safe(name string) string {
	if name == umociPeer.name {
		return "umoci"
	}
	return name
}

// random is 50 MB of dependencies that do not compress, and 20 sources.
func (b *bench) random() error {
	fmt.Printf("50 MB of random dependencies and %d sources over a base of %d MB; medians of %d\n", sources, b.baseSize/1_000_000, b.rounds)
	t := table{}
	peers := []peer{cranePeer, umociPeer, buildahPeer}
	for round := range b.rounds {
		seed := uint64(time.Now().UnixNano()) + uint64(round)
		name := fmt.Sprintf("random%d", round)
		s, err := b.newSource(name, seed)
		if err == nil {
			err = s.withRandom(seed)
		}
		if err == nil {
			err = b.round(t, s, name, seed, peers)
		}
		if err != nil {
			return err
		}
	}
	fmt.Printf("  %-18s %6.2f s\n", install, t.middle(install, cold).took.Seconds())
	t.print([]string{"towline", alone, "crane", "umoci+skopeo", "buildah"})
	var failed []error
	for what, limit := range [things]float64{0.65, 0.20, 0.25} {
		failed = append(failed, b.compare(t, cranePeer.name, what, limit), b.compare(t, buildahPeer.name, what, 0.1))
	}
	failed = append(failed, b.want("code changed, fresh: sent", float64(t.middle("towline", edited).up)/1e3, 100, " kB"))
	return errors.Join(failed...)
}

// realRequirements are some 300 MB when installed.
var realRequirements = []string{"numpy==2.4.6", "scipy==1.17.1", "scikit-learn==1.7.2", "pandas==3.0.1", "pyarrow==23.0.1"}

// real is a tree of dependencies as people have it. Wheels are fetched before
// the first round: no figure has the network in it.
func (b *bench) real() error {
	t := table{}
	for round := range b.rounds {
		seed := uint64(time.Now().UnixNano())
		name := fmt.Sprintf("real%d", round)
		s, err := b.newSource(name, seed)
		if err == nil {
			err = b.installReal(&s)
		}
		if err != nil {
			return err
		}
		if round == 0 {
			fmt.Printf("%d MB of real dependencies; medians of %d\n", size(s.installed)/1_000_000, b.rounds)
		}
		if err := b.round(t, s, name, seed, []peer{cranePeer}); err != nil {
			return err
		}
	}
	fmt.Printf("  %-18s %6.2f s\n  %-18s %6.2f s\n", install, t.middle(install, cold).took.Seconds(), bytecode, t.middle(bytecode, cold).took.Seconds())
	t.print([]string{"towline", alone, "crane"})
	return errors.Join(b.compare(t, cranePeer.name, cold, 0.35), b.compare(t, cranePeer.name, edited, 0.15))
}

func (b *bench) installReal(s *source) error {
	s.requirements, s.modules = "requirements.txt", true
	text := ""
	for _, line := range realRequirements {
		text += line + "\n"
	}
	if err := os.WriteFile(filepath.Join(s.repository, s.requirements), []byte(text), 0o644); err != nil {
		return err
	}
	return errors.Join(b.install(*s, s.installed, oursCache), b.install(*s, filepath.Join(filepath.Dir(s.installed), "warm"), peersCache))
}

// What uv has unpacked before: towline and its peers each have their own, so
// that neither finds what the other has just done.
const (
	oursCache  = "uv-cache"
	peersCache = "uv-cache-peers"
)

// install installs the dependencies as towline does.
func (b *bench) install(s source, to, cache string) error {
	return b.sh(s.repository, `"$UV" pip install --quiet --target "$TO" --python-version 3.11 --only-binary :all: --no-compile-bytecode --link-mode hardlink -r requirements.txt`,
		"UV="+b.uv, "TO="+to, "UV_CACHE_DIR="+filepath.Join(b.dir, cache))
}

// compile compiles what is installed, on all processors.
func (b *bench) compile(dir string) error {
	return b.sh(dir, `python3.11 -m compileall -q -j 0 --invalidation-mode unchecked-hash -x '/tests?/' . || true`)
}

func size(dir string) int64 {
	var sum int64
	_ = filepath.WalkDir(dir, func(_ string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			sum += info.Size()
		}
		return err
	})
	return sum
}

const weightBytes = 2_000_000_000

// weights is one file of 2 GB. crane is given the archive through a pipe,
// which is its fastest way and leaves no copy on the disk.
func (b *bench) weights() error {
	fmt.Println("2 GB of weights; once each")
	b.memory = warmWeights
	s, err := b.newSource("weights", 7)
	if err != nil {
		return err
	}
	file := filepath.Join(s.repository, "model.safetensors")
	if err := writeRandom(file, weightBytes); err != nil {
		return err
	}
	cache := filepath.Join(b.dir, "weights-cache")
	ours, r, err := b.ours(s, "weights/towline", cache)
	if err != nil {
		return err
	}
	fmt.Printf("    %v\n", r.Said)
	left := size(cache)
	whole := ours
	whole.took += r.Read
	theirs, err := b.by(peer{"crane", (*bench).weightsWithCrane}, s, "weights/crane")
	if err != nil {
		return err
	}
	again, r2, err := b.ours(s, "weights/towline", "")
	if err != nil {
		return err
	}
	sum, err := b.measure(func() error { return b.sh(s.repository, "sha256sum model.safetensors") })
	if err != nil {
		return err
	}
	fmt.Printf("    towline        %8.2f s, %.0f MB of memory above an idle start, %.1f MB in its cache\n", ours.took.Seconds(), float64(ours.peak)/1000, float64(left)/1e6)
	fmt.Printf("    crane          %8.2f s\n", theirs.took.Seconds())
	fmt.Printf("    towline again  %8.2f s fresh, of which packaging %.2f s; sha256sum of the file %.2f s\n", again.took.Seconds(), r2.Packed.Seconds(), sum.took.Seconds())
	fmt.Printf("    reading the files for the identity, which comes before: %.2f s, and %.2f s again\n", r.Read.Seconds(), r2.Read.Seconds())
	fmt.Printf("  %-58s %8.2f\n", "2 GB of weights, with reading for the identity, of crane", ratio(whole, theirs))
	return errors.Join(
		b.want("2 GB of weights, of crane", ratio(ours, theirs), 0.70, ""),
		b.want("memory above an idle start", float64(ours.peak)/1000, 40, " MB"),
		b.want("temporary files and cache", float64(left)/1e6, 1, " MB"),
		b.want("unchanged weights, time of reading and packaging, of sha256sum", (r2.Read+r2.Packed).Seconds()/sum.took.Seconds(), 1.25, ""),
	)
}

func (b *bench) weightsWithCrane(s source, repository, work string) error {
	return b.sh(work, `
tar --sort=name --mtime=@1700000000 --owner=0 --group=0 --numeric-owner --format=gnu -C "$REPOSITORY" -cf - . | "$CRANE" append --insecure -b "$BASE" -f - -t "$TO"
`, append(b.peerEnv(s, repository), "REPOSITORY="+s.repository)...)
}

func writeRandom(file string, bytes int64) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	random := rand.NewChaCha8([32]byte{1, 2, 3})
	buf := make([]byte, 1<<20)
	for bytes > 0 {
		n := min(bytes, int64(len(buf)))
		_, _ = random.Read(buf[:n]) // never fails
		if _, err := f.Write(buf[:n]); err != nil {
			return errors.Join(err, f.Close())
		}
		bytes -= n
	}
	// Written back now, so that nobody's figure has it.
	return errors.Join(f.Sync(), f.Close(), exec.Command("sync").Run())
}
