package clickhousefront

import (
	"fmt"
	"syscall"
	"unsafe"

	"github.com/ebitengine/purego"
)

// runtimeSignals are the signals whose handlers the Go runtime installs and
// the engine resets: without them a nil dereference kills the process instead
// of becoming a panic.
var runtimeSignals = [...]syscall.Signal{
	syscall.SIGABRT, syscall.SIGSEGV, syscall.SIGILL, syscall.SIGBUS,
	syscall.SIGSYS, syscall.SIGFPE, syscall.SIGTSTP, syscall.SIGTRAP,
}

// signalHandlers holds one struct sigaction per runtime signal, as opaque
// bytes: libc's layout differs by platform and nothing here looks inside. The
// largest in use is 152 bytes.
type signalHandlers struct {
	sigaction func(signal int32, set, old unsafe.Pointer) int32
	actions   [len(runtimeSignals)][256]byte
}

func saveSignalHandlers() (*signalHandlers, error) {
	libc, err := purego.Dlopen("libc.so.6", purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err != nil {
		return nil, fmt.Errorf("loading libc: %w", err)
	}
	symbol, err := purego.Dlsym(libc, "sigaction")
	if err != nil {
		return nil, fmt.Errorf("looking up sigaction: %w", err)
	}
	h := &signalHandlers{}
	purego.RegisterFunc(&h.sigaction, symbol)
	for i, signal := range runtimeSignals {
		if h.sigaction(int32(signal), nil, unsafe.Pointer(&h.actions[i])) != 0 {
			return nil, fmt.Errorf("reading the handler of %v", signal)
		}
	}
	return h, nil
}

func (h *signalHandlers) restore() error {
	for i, signal := range runtimeSignals {
		if h.sigaction(int32(signal), unsafe.Pointer(&h.actions[i]), nil) != 0 {
			return fmt.Errorf("restoring the handler of %v", signal)
		}
	}
	return nil
}
