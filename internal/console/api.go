package console

import (
	"errors"
	"net/http"

	"gatehouse/internal/gateway/farm"
	"gatehouse/internal/memory/watch"
	"gatehouse/internal/state"
	"gatehouse/internal/supervisor"
)

// route is one request of the API: what is served, and what the page about the API says of it.
type route struct {
	Method, Path, Does string
	serve              http.HandlerFunc
}

func (c *Console) apiRoutes() []route {
	return []route{
		{"GET", "/api/status", "Everything at a glance: what needs attention, the supervisor and its workers, and which parts do not answer.", c.apiStatus},
		{"GET", "/api/verifiers", "Where each connectivity verifier stands.", c.apiVerifiers},
		{"GET", "/api/verifiers/{name}/results", "The last results of a verifier, oldest first. The name of a farm's verifier is farm%2Fmember.", c.apiResults},
		{"POST", "/api/verifiers/{name}/check", "Makes one check now and answers with its result.", c.apiCheck},
		{"GET", "/api/farms", "The web farms with their members, sessions and counts.", c.apiFarms},
		{"POST", "/api/farms/{farm}/members/{member}/{action}", "Drains, resumes or removes a member: action is drain, resume or remove. ?deadline=10m ends a drain at the latest; without it the farm's own deadline does. Answers with the member as it then is.", c.apiFarmAction},
		{"GET", "/api/processes", "The watched processes with their newest sample and their memory verdict.", c.apiProcesses},
		{"GET", "/api/processes/{id}/chart", "The history of a process's memory with floor and trend. ?span=6h, 7d or all; all without it.", c.apiChart},
	}
}

type apiError struct {
	Error string `json:"error"`
}

func (c *Console) writeError(w http.ResponseWriter, status int, text string) {
	writeJSON(w, status, apiError{text})
}

// writeAnswer writes what a source said, or that it did not answer: scripts get no old answers.
func writeAnswer[T any](w http.ResponseWriter, a answer[T]) {
	if a.Err != nil {
		writeJSON(w, statusOf(a.Err), apiError{a.From + " does not answer: " + a.Err.Error()})
		return
	}
	writeJSON(w, http.StatusOK, a.Value)
}

type apiProblem struct {
	Severity string `json:"severity"` // fail or warn
	Title    string `json:"title"`
	Text     string `json:"text"`
}

type apiStatusBody struct {
	Problems   []apiProblem       `json:"problems"`
	Supervisor *supervisor.Status `json:"supervisor,omitempty"`
	Silent     map[string]string  `json:"silent,omitempty"` // parts that do not answer, and why
}

func (c *Console) apiStatus(w http.ResponseWriter, r *http.Request) {
	all := c.look(r.Context())
	body := apiStatusBody{Problems: []apiProblem{}, Silent: map[string]string{}}
	for _, p := range all.problems() {
		body.Problems = append(body.Problems, apiProblem{string(p.Tone), p.Title, p.Text})
	}
	for _, n := range []*notice{all.supervisor.notice(all.clock), all.verifiers.notice(all.clock), all.farms.notice(all.clock), all.processes.notice(all.clock)} {
		if n != nil {
			body.Silent[n.From] = n.Error
		}
	}
	if all.supervisor.Err == nil {
		body.Supervisor = &all.supervisor.Value
	}
	writeJSON(w, http.StatusOK, body)
}

func (c *Console) apiVerifiers(w http.ResponseWriter, r *http.Request) {
	a := c.sources.verifiers.get(r.Context())
	if a.Value == nil {
		a.Value = []state.Status{}
	}
	writeAnswer(w, a)
}

func (c *Console) apiResults(w http.ResponseWriter, r *http.Request) {
	a := answer[[]state.Result]{From: "verify", Err: errNotConnected}
	if c.options.Results != nil {
		a.Value, a.Err = c.options.Results(r.Context(), r.PathValue("name"))
	}
	if errors.Is(a.Err, ErrNotFound) {
		c.writeError(w, http.StatusNotFound, a.Err.Error())
		return
	}
	if a.Value == nil {
		a.Value = []state.Result{}
	}
	writeAnswer(w, a)
}

func (c *Console) apiCheck(w http.ResponseWriter, r *http.Request) {
	result, err := c.check(r)
	if err != nil {
		c.writeError(w, statusOf(err), err.Error())
		return
	}
	writeJSON(w, http.StatusOK, result)
}

func (c *Console) apiFarms(w http.ResponseWriter, r *http.Request) {
	a := c.sources.farms.get(r.Context())
	if a.Value == nil {
		a.Value = []farm.Snapshot{}
	}
	writeAnswer(w, a)
}

func (c *Console) apiFarmAction(w http.ResponseWriter, r *http.Request) {
	if _, err := c.act(r); err != nil {
		c.writeError(w, statusOf(err), err.Error())
		return
	}
	writeJSON(w, http.StatusOK, struct {
		Farm   string               `json:"farm"`
		Member *farm.MemberSnapshot `json:"member,omitempty"`
	}{r.PathValue("farm"), c.memberNow(r.Context(), r.PathValue("farm"), r.PathValue("member"))})
}

func (c *Console) apiProcesses(w http.ResponseWriter, r *http.Request) {
	a := c.sources.processes.get(r.Context())
	if a.Value == nil {
		a.Value = []watch.Process{}
	}
	writeAnswer(w, a)
}

func (c *Console) apiChart(w http.ResponseWriter, r *http.Request) {
	chart, status, err := c.chart(r)
	if err != nil {
		c.writeError(w, status, err.Error())
		return
	}
	writeJSON(w, http.StatusOK, chart)
}

func (c *Console) apiView() view {
	return view{Key: pageAPI, Heading: "API", Fragments: []fragment{{ID: "api", Class: "wide", Template: "api", Data: c.routes}}}
}
