package bundle

import (
	"debug/elf"
	"encoding/binary"
	"io"
	"os"
	"path"
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
// right one is among them.
func (s *stage) checkNative(job *installation) error {
	system, arch, _ := strings.Cut(job.platform, "/")
	arch, _, _ = strings.Cut(arch, "/")
	if system != "linux" {
		return nil // the host's own installer chose for the host
	}
	fits, foreign := map[string]bool{}, map[string]string{}
	for _, file := range s.files {
		if !isNative(file.path) {
			continue
		}
		found, err := machineOf(file.onDisk)
		if err != nil {
			return diskFault("read "+file.path, err)
		}
		if found == machines[arch].String() {
			fits[file.dist] = true
		} else if foreign[file.dist] == "" {
			foreign[file.dist] = file.path + " is " + found
		}
	}
	for _, file := range s.files {
		if what := foreign[file.dist]; what != "" && !fits[file.dist] {
			return fault.Newf(fault.Missing, "install %s: %s, wanted code for %s", file.dist, what, job.platform).
				Hintf("choose a version that has a wheel for %s", job.platform)
		}
	}
	return nil
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
