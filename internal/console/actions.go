package console

import (
	"context"
	"errors"
	"fmt"
	"gatehouse/internal/words"
	"net/http"
	"net/url"
	"slices"
	"time"

	"gatehouse/internal/gateway/farm"
	"gatehouse/internal/state"
)

// actions are what may be done to a member of a farm.
var actions = []string{"drain", "resume", "remove"}

// longestDrain bounds the deadline of a drain.
const longestDrain = 7 * 24 * time.Hour

// actionTimeout bounds an action, a check included.
const actionTimeout = 60 * time.Second

// outcome says how an action went, for a page.
type outcome struct {
	Tone tone
	Text string
}

// statusError is an error with the HTTP status that it is answered with.
type statusError struct {
	status int
	err    error
}

func (e *statusError) Error() string { return e.err.Error() }
func (e *statusError) Unwrap() error { return e.err }

func statusOf(err error) int {
	var e *statusError
	switch {
	case err == nil:
		return http.StatusOK
	case errors.As(err, &e):
		return e.status
	case errors.Is(err, ErrNotFound):
		return http.StatusNotFound
	case errors.Is(err, context.DeadlineExceeded):
		return http.StatusGatewayTimeout
	}
	return http.StatusBadGateway
}

// act does what the request's path names to a member, and logs it.
func (c *Console) act(r *http.Request) (string, error) {
	farmName, member, action := r.PathValue("farm"), r.PathValue("member"), r.PathValue("action")
	if !slices.Contains(actions, action) {
		return "", &statusError{http.StatusNotFound, fmt.Errorf("there is no action %q", action)}
	}
	deadline, err := parseDeadline(r.FormValue("deadline"))
	if err != nil {
		return "", &statusError{http.StatusBadRequest, err}
	}
	if c.options.FarmAction == nil {
		return "", fmt.Errorf("%s %s: %w", action, member, errNotConnected)
	}
	ctx, cancel := context.WithTimeout(r.Context(), actionTimeout)
	defer cancel()
	err = c.options.FarmAction(ctx, farmName, member, action, deadline)
	c.log.Info("farm action", "action", action, "farm", farmName, "member", member, "deadline", deadline, "client", r.RemoteAddr, "error", err)
	c.sources.farms.expire()
	c.wakes.wake()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w", action, member, err)
	}
	done := map[string]string{"drain": "drains: it gets no new sessions", "resume": "is back in the farm", "remove": "is removed: nothing is sent there"}
	return member + " " + done[action] + ".", nil
}

// parseDeadline reads the deadline of a drain; empty is 0, the farm's own.
func parseDeadline(s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 || d > longestDrain {
		return 0, fmt.Errorf("deadline %q is not a duration between 1s and 168h, such as 10m", s)
	}
	return d, nil
}

func (c *Console) postFarmAction(w http.ResponseWriter, r *http.Request) {
	text, err := c.act(r)
	c.afterAction(w, r, "/farms#"+anchor("farm", r.PathValue("farm")), text, err)
}

func (c *Console) check(r *http.Request) (state.Result, error) {
	name := r.PathValue("name")
	if c.options.CheckNow == nil {
		return state.Result{}, fmt.Errorf("check %s: %w", name, errNotConnected)
	}
	ctx, cancel := context.WithTimeout(r.Context(), actionTimeout)
	defer cancel()
	result, err := c.options.CheckNow(ctx, name)
	c.sources.verifiers.expire()
	c.wakes.wake()
	if err != nil {
		return result, fmt.Errorf("check %s: %w", name, err)
	}
	return result, nil
}

func (c *Console) postCheckNow(w http.ResponseWriter, r *http.Request) {
	result, err := c.check(r)
	name := r.PathValue("name")
	text := fmt.Sprintf("%s: %s in %s. %s", name, result.State, words.Latency(result.Timings.Total), result.Reason)
	c.afterAction(w, r, "/connectivity#"+anchor("verifier", name), text, err)
}

// afterAction answers a form: htmx gets the outcome alone, a page without scripts goes back to where it was, or is shown
// again with the reason when the action failed.
func (c *Console) afterAction(w http.ResponseWriter, r *http.Request, back, text string, err error) {
	o, status := outcome{toneOK, text}, statusOf(err)
	if err != nil {
		o = outcome{toneFail, err.Error()}
	}
	if r.Header.Get("HX-Request") == "true" {
		f, rerr := c.render(fragment{ID: "notice", Template: "outcome", Data: o})
		if rerr != nil {
			c.log.Error("render outcome", "error", rerr)
			http.Error(w, "the outcome could not be rendered", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(status)
		_, _ = w.Write([]byte(f.HTML)) // an error means that the browser has gone
		return
	}
	if err == nil {
		http.Redirect(w, r, back, http.StatusSeeOther)
		return
	}
	u, perr := url.Parse(back)
	if perr != nil {
		u = &url.URL{Path: "/"}
	}
	c.writePage(w, r, u, status, &o)
}

// memberNow is the member after an action; nil when it cannot be told.
func (c *Console) memberNow(ctx context.Context, farmName, member string) *farm.MemberSnapshot {
	for _, f := range c.sources.farms.get(ctx).Value {
		for _, m := range f.Members {
			if f.Name == farmName && m.Name == member {
				return &m
			}
		}
	}
	return nil
}
