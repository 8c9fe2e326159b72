package edge

import (
	"encoding/json"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// problem is what a client learns of a request that was not served. It names nothing inside.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Reason class  `json:"reason"`
	Farm   string `json:"farm,omitempty"`
	ID     string `json:"request_id"`
}

// refuse answers a request that is not forwarded or whose forwarding failed, and notes why.
func (x *exchange) refuse(f *failure) {
	x.fail, x.status = f, f.status
	x.denyUpgrade()
	if f.class == classClientGone {
		x.aborted = true
		return
	}
	p := problem{Type: "about:blank", Title: http.StatusText(f.status), Status: f.status, Detail: f.text, Reason: f.class, ID: x.id}
	if x.route != nil {
		p.Farm = x.route.name
	}
	kind, body := p.render(x.r.Header["Accept"])
	h := x.w.Header()
	clear(h)
	h.Set("Content-Type", kind)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Request-Id", x.id)
	switch f.status {
	case http.StatusServiceUnavailable:
		h.Set("Retry-After", "5")
	case http.StatusMethodNotAllowed:
		h.Set("Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
	}
	x.dog.stop()
	x.keepOrClose()
	_ = x.rc.SetWriteDeadline(time.Now().Add(x.set.limits.BodyTimeout))
	x.w.WriteHeader(f.status)
	if x.r.Method != http.MethodHead {
		n, _ := x.w.Write(body) // a client that is gone misses nothing
		x.sent += int64(n)
	}
}

// render writes the page in the form that the client asks for: HTML for browsers, a problem (RFC 9457) for those that
// want JSON, text for all others.
func (p *problem) render(accept []string) (kind string, body []byte) {
	for _, line := range accept {
		for entry := range strings.SplitSeq(line, ",") {
			media, _, _ := strings.Cut(entry, ";")
			switch media = strings.ToLower(strings.TrimSpace(media)); {
			case media == "text/html" || media == "application/xhtml+xml":
				return "text/html; charset=utf-8", p.html()
			case media == "application/json" || strings.HasSuffix(media, "+json"):
				return "application/problem+json", p.json()
			}
		}
	}
	return "text/plain; charset=utf-8", p.plain()
}

func (p *problem) json() []byte {
	b, err := json.Marshal(p)
	if err != nil {
		return p.plain()
	}
	return append(b, '\n')
}

func (p *problem) plain() []byte {
	var b strings.Builder
	b.WriteString(strconv.Itoa(p.Status) + " " + p.Title + "\n" + p.Detail + "\n\nreason: " + string(p.Reason) + "\n")
	if p.Farm != "" {
		b.WriteString("farm: " + p.Farm + "\n")
	}
	b.WriteString("request: " + p.ID + "\n")
	return []byte(b.String())
}

func (p *problem) html() []byte {
	var b strings.Builder
	if err := page.Execute(&b, p); err != nil {
		return p.plain()
	}
	return []byte(b.String())
}

var page = template.Must(template.New("page").Parse(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{{.Status}} {{.Title}}</title>
<style>
:root { color-scheme: light dark }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 36rem; margin: 15vh auto; padding: 0 1rem }
h1 { font-size: 1.5rem } dl { display: grid; grid-template-columns: max-content 1fr; gap: 0 1rem } dd { margin: 0; overflow-wrap: anywhere }
</style>
</head>
<body>
<h1>{{.Status}} {{.Title}}</h1>
<p>{{.Detail}}</p>
<dl><dt>Reason</dt><dd>{{.Reason}}</dd>{{if .Farm}}<dt>Farm</dt><dd>{{.Farm}}</dd>{{end}}<dt>Request</dt><dd>{{.ID}}</dd></dl>
</body>
</html>
`))
