package bundle

import (
	"debug/elf"
	"encoding/binary"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"

	"gitlab.com/towline/towline/pkg/fault"
)

// machines are the ELF machine of each architecture.
var machines = map[string]elf.Machine{
	"386": elf.EM_386, "amd64": elf.EM_X86_64, "arm": elf.EM_ARM, "arm64": elf.EM_AARCH64,
	"ppc64le": elf.EM_PPC64, "riscv64": elf.EM_RISCV, "s390x": elf.EM_S390,
}

// checkNative refuses a distribution whose native code is for another platform
// throughout. One that carries code for several, as debuggers do, passes if the
// right one is among them; one whose wheel says that it fits any platform can do
// without its native code, and is only spoken of.
func (s *stage) checkNative(job *installation, log func(string)) error {
	system, arch, _ := strings.Cut(job.platform, "/")
	arch, _, _ = strings.Cut(arch, "/")
	if system != "linux" {
		return nil // the host's own installer chose for the host
	}
	foreign, err := s.foreignCode(machines[arch].String())
	if err != nil {
		return err
	}
	universal, err := s.universal()
	if err != nil {
		return err
	}
	for _, dist := range slices.Sorted(maps.Keys(foreign)) {
		if !universal[dist] {
			return fault.Newf(fault.Missing, "install %s: %s, wanted code for %s", dist, foreign[dist], job.platform).
				Hintf("choose a version that has a wheel for %s", job.platform)
		}
		log(dist + " has native code, and none of it is for " + job.platform)
	}
	return nil
}

// foreignCode finds the distributions that have native code, but none for the
// machine; each with an example.
func (s *stage) foreignCode(machine string) (map[string]string, error) {
	fits, foreign := map[string]bool{}, map[string]string{}
	for _, file := range s.files {
		if !isNative(file.path) {
			continue
		}
		found, err := machineOf(file.onDisk)
		if err != nil {
			return nil, diskFault("read "+file.path, err)
		}
		if found == machine {
			fits[file.dist] = true
		} else if foreign[file.dist] == "" {
			foreign[file.dist] = file.path + " is " + found
		}
	}
	maps.DeleteFunc(foreign, func(dist, _ string) bool { return fits[dist] })
	return foreign, nil
}

// universal finds the distributions whose wheel is tagged for any platform.
func (s *stage) universal() (map[string]bool, error) {
	found := map[string]bool{}
	for _, file := range s.files {
		if !isInfo(file.path) || path.Base(file.path) != "WHEEL" {
			continue
		}
		text, err := os.ReadFile(file.onDisk)
		if err != nil {
			return nil, diskFault("read "+file.path, err)
		}
		for line := range strings.Lines(string(text)) {
			tag, ok := strings.CutPrefix(strings.TrimSpace(line), "Tag: ")
			if ok && strings.HasSuffix(tag, "-any") {
				found[file.dist] = true
			}
		}
	}
	return found, nil
}

func isNative(name string) bool {
	switch path.Ext(name) {
	case ".so", ".dylib", ".pyd":
		return true
	}
	return strings.Contains(path.Base(name), ".so.")
}

// machineOf names the processor that a file has code for: an ELF machine, or
// which other kind of file it is.
func machineOf(name string) (string, error) {
	file, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	var head [20]byte
	if _, err := io.ReadFull(file, head[:]); err != nil {
		return "no program", nil
	}
	if string(head[:4]) != elf.ELFMAG {
		return "no ELF file", nil
	}
	var order binary.ByteOrder = binary.LittleEndian
	if elf.Data(head[elf.EI_DATA]) == elf.ELFDATA2MSB {
		order = binary.BigEndian
	}
	return elf.Machine(order.Uint16(head[18:])).String(), nil
}
