package lab

import (
	"context"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestMember(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &Member{Name: "a"}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- m.Serve(ctx, ln) }()
	url := "http://" + ln.Addr().String()
	if code, body := do(t, http.MethodGet, url+"/x"); code != http.StatusOK || body != "a answers /x\n" {
		t.Errorf("GET: %d %q", code, body)
	}
	if code, _ := do(t, http.MethodPut, url+"/lab/delay?for=1ms"); code != http.StatusNoContent || m.delay.Load() != int64(time.Millisecond) {
		t.Errorf("PUT: %d, delay %d", code, m.delay.Load())
	}
	if code, body := do(t, http.MethodPut, url+"/lab/delay?for=x"); code != http.StatusBadRequest || !strings.Contains(body, "set delay") {
		t.Errorf("PUT of nonsense: %d %q", code, body)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func do(t *testing.T, method, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestLeakHoldsWhatItSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		before := heap()
		grown := uint64(0)
		go func() {
			time.Sleep(19 * time.Second) // the bubble's clock: no real time passes
			grown = heap() - before
		}()
		Leak(ctx, 1<<20, 8<<20)
		synctest.Wait()
		if grown < 7<<20 || grown > 12<<20 {
			t.Errorf("holds %d bytes after 19 s at 1 MiB/s with a limit of 8 MiB", grown)
		}
	})
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
