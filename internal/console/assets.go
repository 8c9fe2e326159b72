package console

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

//go:embed static
var staticFiles embed.FS

// assets are the built-in files. Each is served below a path that holds a hash of its content, and so may be kept by
// browsers for good.
type assets struct {
	paths map[string]string // "app.css" to "/static/0123456789ab/app.css"
	files map[string]asset  // by path
}

type asset struct {
	content     []byte
	contentType string
	tag         string
}

func loadAssets() (*assets, error) {
	a := &assets{paths: map[string]string{}, files: map[string]asset{}}
	err := fs.WalkDir(staticFiles, "static", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := staticFiles.ReadFile(name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(content)
		tag := hex.EncodeToString(sum[:6])
		url := "/static/" + tag + "/" + path.Base(name)
		a.paths[path.Base(name)] = url
		a.files[url] = asset{content, contentTypeOf(name), `"` + tag + `"`}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("load built-in files: %w", err)
	}
	return a, nil
}

// contentTypeOf does not ask the machine's own tables, which differ.
func contentTypeOf(name string) string {
	switch path.Ext(name) {
	case ".css":
		return "text/css; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	return "text/plain; charset=utf-8"
}

// url returns the path of a built-in file. An unknown name is an error while a template is rendered.
func (a *assets) url(name string) (string, error) {
	if p, ok := a.paths[name]; ok {
		return p, nil
	}
	return "", fmt.Errorf("find built-in file %s: not there", name)
}

// ServeHTTP serves the files below /static/.
func (a *assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	file, ok := a.files[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	h := w.Header()
	h.Set("Content-Type", file.contentType)
	h.Set("ETag", file.tag)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	if strings.Contains(r.Header.Get("If-None-Match"), file.tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	_, _ = w.Write(file.content) // an error means that the browser has gone
}

func (a *assets) favicon(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, a.paths["favicon.svg"], http.StatusFound)
}
