package runtime_test

import (
	"os"
	"testing"

	"gitlab.com/towline/towline/pkg/localcloud/runtime"
)

func TestSmoke(t *testing.T) {
	for _, sandbox := range sandboxes() {
		t.Run(sandbox, func(t *testing.T) {
			p := newProcess(t, runtime.ProcessOptions{Sandbox: sandbox})
			code, said := run(t, p, runtime.Spec{Image: python(t, `
import os, sys, helper, subprocess
print(sys.version, sys.executable, helper.WHO, os.getcwd(), sys.path)
for k,v in sorted(os.environ.items()): print(k,"=",v)
print(os.listdir("/proc/self/fd"))
subprocess.run("python --version; which python; ls -la / /opt /opt/ml; ps -ef; mount | grep -v cgroup; ls -la /proc/self/fd",shell=True)
try:
	import pip
	print("PIP!")
except ImportError: pass
try:
	open("/xx","w")
	print("WROTE")
except OSError as e: print(e)
`)})
			t.Log(code, said)
			_ = os.Remove("/xx")
		})
	}
}
