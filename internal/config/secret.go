package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"runtime"
	"strings"
)

// maxSecret bounds a secret's file, in bytes.
const maxSecret = 64 << 10

// Bytes returns the value, as it was when the configuration was loaded. The caller must not change it.
func (s Secret) Bytes() []byte { return s.value }

// String says where the secret comes from and never what it is.
func (s Secret) String() string {
	switch {
	case s.File != "":
		return "(from file " + s.File + ")"
	case s.Env != "":
		return "(from environment variable " + s.Env + ")"
	default:
		return "(no secret)"
	}
}

// Format prints String for every verb, also those that would print the fields.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// GoString is String.
func (s Secret) GoString() string { return s.String() }

// LogValue is String.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalYAML writes the reference.
func (s Secret) MarshalYAML() (any, error) {
	if s.File != "" {
		return map[string]string{"file": s.File}, nil
	}
	return map[string]string{"env": s.Env}, nil
}

// load reads the value. A remark is returned where the value can be used but others may read its file.
func (s *Secret) load(env func(string) string) (remark string, err error) {
	if s.Env != "" {
		value := env(s.Env)
		if value == "" {
			return "", fmt.Errorf("environment variable %s is not set or empty", s.Env)
		}
		s.value = []byte(value)
		return "", nil
	}
	data, mode, err := readBounded(s.File, maxSecret)
	if err != nil {
		return "", fmt.Errorf("read secret: %w", err)
	}
	value := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if value == "" {
		return "", fmt.Errorf("secret file %s is empty", s.File)
	}
	s.value = []byte(value)
	return openToAll("secret file", s.File, mode), nil
}

// openToAll is a remark on a file that users beyond its owner and group may open. It is empty on Windows, where the mode
// does not say.
func openToAll(what, file string, mode fs.FileMode) string {
	if runtime.GOOS == "windows" || mode.Perm()&0o007 == 0 {
		return ""
	}
	return fmt.Sprintf("every user may open the %s %s (mode %04o): take the rights of others away", what, file, mode.Perm())
}

// readBounded reads a regular file, or a pipe, of at most limit bytes.
func readBounded(name string, limit int64) ([]byte, fs.FileMode, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	if info.IsDir() {
		return nil, 0, &fs.PathError{Op: "read", Path: name, Err: errors.New("is a folder")}
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, 0, err
	}
	if int64(len(data)) > limit {
		return nil, 0, &fs.PathError{Op: "read", Path: name, Err: fmt.Errorf("is larger than %s", Size(limit))}
	}
	return data, info.Mode(), nil
}
