package console_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	cdpruntime "github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"gatehouse/internal/console"
	"gatehouse/internal/console/consoletest"
)

// moment is when the made-up installation is looked at.
var moment = time.Date(2026, time.November, 22, 14, 2, 11, 0, time.UTC)

var pages = []struct{ name, path, heading string }{
	{"overview", "/", "Overview"},
	{"connectivity", "/connectivity", "Connectivity"},
	{"farms", "/farms", "Farms"},
	{"memory", "/memory", "Memory"},
	{"process", "/memory/w3svc-2204?span=7d", "shop backend"},
	{"api", "/docs/api", "API"},
}

// browser is one Chromium for all browser tests.
type browser struct{ ctx context.Context }

func startBrowser(t *testing.T) browser {
	t.Helper()
	if testing.Short() {
		t.Skip("browser tests are left out with -short")
	}
	var program string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			program = found
			break
		}
	}
	if program == "" {
		t.Skip("no Chromium: the browser tests need the Debian package chromium")
	}
	options := append([]chromedp.ExecAllocatorOption{}, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck, chromedp.Headless, chromedp.NoSandbox,
		chromedp.DisableGPU, chromedp.ExecPath(program), chromedp.UserDataDir(t.TempDir()), chromedp.WSURLReadTimeout(60*time.Second))
	for _, flag := range []string{"disable-quic", "disable-background-networking", "disable-component-update", "disable-sync", "disable-dev-shm-usage", "hide-scrollbars"} {
		options = append(options, chromedp.Flag(flag, true))
	}
	allocator, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil && !errors.Is(err, context.Canceled) {
			t.Logf("close browser: %v", err)
		}
		cancel()
	})
	if err := chromedp.Run(ctx); err != nil {
		t.Fatalf("start browser: %v", err)
	}
	return browser{ctx}
}

// tab is one page of the browser on one installation.
type tab struct {
	t     *testing.T
	ctx   context.Context
	world *consoletest.World
	url   string

	mu       sync.Mutex
	troubles []string
}

func (b browser) tab(t *testing.T, world *consoletest.World) *tab {
	t.Helper()
	c, err := console.New(world.Options())
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(c)
	ctx, cancel := chromedp.NewContext(b.ctx)
	ctx, stop := context.WithTimeout(ctx, 60*time.Second)
	tb := &tab{t: t, ctx: ctx, world: world, url: server.URL}
	chromedp.ListenTarget(ctx, tb.listen)
	if err := chromedp.Run(ctx, cdplog.Enable(), cdpruntime.Enable(), network.Enable()); err != nil {
		t.Fatalf("open tab: %v", err)
	}
	t.Cleanup(func() {
		stop()
		cancel()
		server.CloseClientConnections()
		server.Close()
	})
	return tb
}

// listen collects what a developer would see in red.
func (tb *tab) listen(event any) {
	trouble := ""
	switch e := event.(type) {
	case *cdpruntime.EventExceptionThrown:
		trouble = "exception: " + e.ExceptionDetails.Error()
	case *cdpruntime.EventConsoleAPICalled:
		if e.Type == cdpruntime.APITypeError || e.Type == cdpruntime.APITypeWarning {
			trouble = fmt.Sprintf("console.%s: %s", e.Type, e.Args[0].Value)
		}
	case *cdplog.EventEntryAdded:
		if e.Entry.Level == cdplog.LevelError || e.Entry.Level == cdplog.LevelWarning {
			trouble = fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL)
		}
	}
	if trouble != "" {
		tb.mu.Lock()
		defer tb.mu.Unlock()
		tb.troubles = append(tb.troubles, trouble)
	}
}

func (tb *tab) run(actions ...chromedp.Action) {
	tb.t.Helper()
	if err := chromedp.Run(tb.ctx, actions...); err != nil {
		tb.t.Fatal(err)
	}
}

func (tb *tab) noTroubles() {
	tb.t.Helper()
	tb.mu.Lock()
	defer tb.mu.Unlock()
	for _, trouble := range tb.troubles {
		tb.t.Errorf("the browser complains: %s", trouble)
	}
}

// until waits for a JavaScript expression to become true.
func (tb *tab) until(expression string) {
	tb.t.Helper()
	if err := chromedp.Run(tb.ctx, chromedp.Poll(expression, nil, chromedp.WithPollingTimeout(20*time.Second))); err != nil {
		var page string
		_ = chromedp.Run(tb.ctx, chromedp.Evaluate(`document.body.innerText.slice(0, 2000)`, &page))
		tb.t.Fatalf("wait for %s: %v\nthe page says:\n%s", expression, err, page)
	}
}

func (tb *tab) open(path string) {
	tb.t.Helper()
	tb.run(chromedp.Navigate(tb.url + path))
	tb.until(`document.getElementById("live").textContent === "live"`)
}

func (tb *tab) evaluate(expression string, result any) {
	tb.t.Helper()
	tb.run(chromedp.Evaluate(expression, result))
}

func phone(width, height int64) chromedp.Action {
	return emulation.SetDeviceMetricsOverride(width, height, 2, true)
}

func dark() chromedp.Action {
	return emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}})
}

const allDrawn = `[...document.querySelectorAll("[data-chart]")].filter((c) => c.getBoundingClientRect().top < innerHeight).every((c) => c.querySelector("canvas") || c.querySelector(".chart-note"))`

func TestBrowser(t *testing.T) {
	b := startBrowser(t)
	t.Run("pages", func(t *testing.T) { testPages(t, b) })
	t.Run("chart is drawn", func(t *testing.T) { testChart(t, b) })
	t.Run("update arrives", func(t *testing.T) { testUpdate(t, b) })
	t.Run("drain by keyboard", func(t *testing.T) { testDrainByKeyboard(t, b) })
	t.Run("remove asks first", func(t *testing.T) { testRemove(t, b) })
	t.Run("check now", func(t *testing.T) { testCheckNow(t, b) })
	t.Run("silent part", func(t *testing.T) { testSilentPart(t, b) })
	t.Run("reconnects", func(t *testing.T) { testReconnects(t, b) })
	t.Run("without scripts", func(t *testing.T) { testWithoutScripts(t, b) })
	t.Run("pictures", func(t *testing.T) { takePictures(t, b) })
}

// testPages opens every page in three widths and two colours: its heading is there, nothing sticks out at the side, no
// text is too faint, and the browser complains of nothing (a violated content policy is a complaint).
func testPages(t *testing.T, b browser) {
	for _, p := range pages {
		t.Run(p.name, func(t *testing.T) {
			tb := b.tab(t, consoletest.New(moment))
			for _, width := range []int64{1280, 768, 390, 320} {
				tb.run(phone(width, 844))
				tb.open(p.path)
				tb.until(allDrawn)
				var heading string
				var wide float64
				tb.evaluate(`document.querySelector("h1").textContent`, &heading)
				tb.evaluate(`document.scrollingElement.scrollWidth - innerWidth`, &wide)
				if heading != p.heading {
					t.Errorf("heading is %q, want %q", heading, p.heading)
				}
				if wide > 0 {
					var culprits []string
					tb.evaluate(`[...document.querySelectorAll("main *, header *")].filter((e) => e.getBoundingClientRect().right > innerWidth + 1).slice(0, 5).map((e) => e.outerHTML.slice(0, 120))`, &culprits)
					t.Errorf("at %d px the page is %v px too wide: %s", width, wide, strings.Join(culprits, "\n"))
				}
			}
			for _, scheme := range []string{"light", "dark"} {
				tb.run(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}))
				var faint []string
				tb.evaluate(faintText, &faint)
				if len(faint) > 0 {
					t.Errorf("%s: text below a contrast of 4.5: %s", scheme, strings.Join(faint, "; "))
				}
			}
			tb.noTroubles()
		})
	}
}

// faintText lists the texts whose contrast with what is behind them is below WCAG's AA.
const faintText = `(() => {
	const parse = (c) => { const m = c.match(/[\d.]+/g).map(Number); return { rgb: m.slice(0, 3), a: m.length > 3 ? m[3] : 1 }; };
	const luminance = (rgb) => { const [r, g, b] = rgb.map((v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
	const behind = (e) => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c.a === 1) return c.rgb; } return [255, 255, 255]; };
	const faint = new Set();
	const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	while (walker.nextNode()) {
		const e = walker.currentNode.parentElement;
		if (!walker.currentNode.data.trim() || !e.checkVisibility() || e.closest("svg, noscript, .sr, .u-legend, button:disabled")) continue;
		const fore = luminance(parse(getComputedStyle(e).color).rgb), back = luminance(behind(e));
		const contrast = (Math.max(fore, back) + 0.05) / (Math.min(fore, back) + 0.05);
		if (contrast < 4.5) faint.add(contrast.toFixed(2) + " " + e.className + ": " + walker.currentNode.data.trim().slice(0, 30));
	}
	return [...faint];
})()`

func testChart(t *testing.T, b browser) {
	tb := b.tab(t, consoletest.New(moment))
	tb.run(chromedp.EmulateViewport(1280, 900), dark())
	tb.open("/memory/w3svc-2204?span=7d")
	tb.until(`document.querySelector("[data-chart] canvas")`)
	// A drawn chart has many colours: memory, floor, trend, axis. An empty canvas has one.
	tb.until(`(() => { const c = document.querySelector("[data-chart] canvas"); const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
		const seen = new Set(); for (let i = 0; i < d.length; i += 4) if (d[i + 3] > 200) seen.add(d[i] + "," + d[i + 1] + "," + d[i + 2]); return seen.size > 3; })()`)
	var background string
	tb.evaluate(`getComputedStyle(document.body).backgroundColor`, &background)
	if background != "rgb(15, 20, 26)" {
		t.Errorf("dark mode has the background %s", background)
	}
	tb.noTroubles()
}

func testUpdate(t *testing.T, b browser) {
	tb := b.tab(t, consoletest.New(moment))
	tb.run(chromedp.EmulateViewport(1280, 900))
	tb.open("/farms")
	// What the reader does must survive an update: an open menu, what is typed, the focus, the place in the page.
	tb.run(chromedp.Click(`//tr[contains(., "tango")]//summary[contains(., "Drain")]`, chromedp.BySearch),
		chromedp.SendKeys(`details[open] input`, "25m", chromedp.ByQuery))
	tb.evaluate(`window.before = document.activeElement; window.row = document.activeElement.closest("tr"); scrollTo(0, 60)`, nil)
	tb.world.SetSessions("shop", "tango", 1399)
	tb.until(`document.querySelector("#page").innerText.includes("1,399")`)
	for _, kept := range []string{
		`document.activeElement === window.before && document.activeElement.value === "25m"`,
		`document.activeElement.closest("details").open`,
		`window.row.isConnected && window.row.innerText.includes("1,399")`,
	} {
		var ok bool
		if tb.evaluate(kept, &ok); !ok {
			t.Errorf("after an update this no longer holds: %s", kept)
		}
	}
	tb.noTroubles()
}

// testDrainByKeyboard drains a member and resumes it with no pointer at all.
func testDrainByKeyboard(t *testing.T, b browser) {
	tb := b.tab(t, consoletest.New(moment))
	tb.run(chromedp.EmulateViewport(1280, 900))
	tb.open("/farms")
	tb.tabTo("Drain… tango")
	tb.run(chromedp.KeyEvent(kb.Enter))
	tb.until(`document.activeElement.name === "deadline"`)
	tb.run(chromedp.KeyEvent("15m"), chromedp.KeyEvent(kb.Enter))
	tb.until(`document.getElementById("outcome").innerText.includes("tango drains")`)
	tb.until(`[...document.querySelectorAll("tr")].some((r) => r.innerText.includes("tango") && r.innerText.includes("ends at 14:17:11"))`)
	if got, want := tb.world.Actions(), (consoletest.Action{Farm: "shop", Member: "tango", Action: "drain", Deadline: 15 * time.Minute}); len(got) != 1 || got[0] != want {
		t.Fatalf("done: %+v, want %+v", got, want)
	}
	tb.tabTo("Resume tango")
	tb.run(chromedp.KeyEvent(kb.Enter))
	tb.until(`document.getElementById("outcome").innerText.includes("tango is back")`)
	tb.noTroubles()
}

// tabTo presses Tab until what has the focus has that text, and sees to it that the focus shows.
func (tb *tab) tabTo(text string) {
	tb.t.Helper()
	for range 80 {
		tb.run(chromedp.KeyEvent(kb.Tab))
		var focused struct {
			Text    string
			Outline string
		}
		tb.evaluate(`({Text: document.activeElement.textContent.trim(), Outline: getComputedStyle(document.activeElement).outlineStyle})`, &focused)
		if focused.Outline == "none" {
			tb.t.Errorf("the focus on %q does not show", focused.Text)
		}
		if focused.Text == text {
			return
		}
	}
	tb.t.Fatalf("80 Tabs do not reach %q", text)
}

func testRemove(t *testing.T, b browser) {
	tb := b.tab(t, consoletest.New(moment))
	tb.run(phone(390, 844))
	tb.open("/farms")
	tb.run(chromedp.Click(`//tr[contains(., "victor")]//summary[contains(., "Remove")]`, chromedp.BySearch))
	if n := len(tb.world.Actions()); n != 0 {
		t.Fatalf("removed without asking")
	}
	tb.run(chromedp.KeyEvent(kb.Escape))
	tb.until(`!document.querySelector("details.menu[open]")`)
	tb.run(chromedp.Click(`//tr[contains(., "victor")]//summary[contains(., "Remove")]`, chromedp.BySearch),
		chromedp.Click(`//button[contains(., "Remove victor now")]`, chromedp.BySearch))
	tb.until(`document.getElementById("outcome").innerText.includes("victor is removed")`)
	if got := tb.world.Actions(); len(got) != 1 || got[0].Action != "remove" {
		t.Errorf("done: %+v", got)
	}
	tb.noTroubles()
}

func testCheckNow(t *testing.T, b browser) {
	tb := b.tab(t, consoletest.New(moment))
	tb.open("/connectivity")
	tb.run(chromedp.Click(`//section[contains(., "shop/uniform")]//button[contains(., "Check now")]`, chromedp.BySearch))
	tb.until(`document.getElementById("outcome").innerText.includes("shop/uniform: refused")`)
	tb.noTroubles()
	tb.world.Silence("verify", errors.New("dial verify.sock: connection refused"))
	tb.run(chromedp.Click(`//section[contains(., "shop/uniform")]//button[contains(., "Check now")]`, chromedp.BySearch))
	tb.until(`document.getElementById("outcome").innerText.includes("connection refused")`)
}

func testSilentPart(t *testing.T, b browser) {
	tb := b.tab(t, consoletest.New(moment))
	tb.open("/connectivity")
	tb.world.Silence("verify", errors.New("dial verify.sock: connection refused"))
	tb.until(`document.body.innerText.includes("verify does not answer: dial verify.sock: connection refused")`)
	tb.until(`document.body.innerText.includes("shop/uniform")`) // last known, below
	tb.world.Silence("verify", nil)
	tb.until(`!document.body.innerText.includes("does not answer")`)
	tb.noTroubles()
}

// testReconnects takes the network away and gives it back.
func testReconnects(t *testing.T, b browser) {
	tb := b.tab(t, consoletest.New(moment))
	tb.open("/farms")
	offline := network.OverrideNetworkState(true, 0, -1, -1)
	tb.run(network.EmulateNetworkConditionsByRule([]*network.Conditions{{URLPattern: "", Offline: true, DownloadThroughput: -1, UploadThroughput: -1}}), offline)
	tb.evaluate(`window.dispatchEvent(new Event("pagehide")); window.dispatchEvent(new PageTransitionEvent("pageshow", {persisted: true}))`, nil)
	tb.until(`document.getElementById("live").textContent === "reconnecting"`)
	tb.world.SetSessions("shop", "tango", 77)
	tb.run(network.EmulateNetworkConditionsByRule([]*network.Conditions{{URLPattern: "", DownloadThroughput: -1, UploadThroughput: -1}}), network.OverrideNetworkState(false, 0, -1, -1))
	tb.until(`document.getElementById("live").textContent === "live" && document.body.innerText.includes("77")`)
}

func testWithoutScripts(t *testing.T, b browser) {
	tb := b.tab(t, consoletest.New(moment))
	tb.run(emulation.SetScriptExecutionDisabled(true), chromedp.EmulateViewport(1280, 900))
	tb.run(chromedp.Navigate(tb.url+"/memory/w3svc-2204"), chromedp.WaitVisible(`figure img`, chromedp.ByQuery))
	var width int
	tb.evaluate(`document.querySelector("figure img").naturalWidth`, &width)
	if width != 720 {
		t.Errorf("the picture of the chart has %d px", width)
	}
	tb.run(chromedp.Navigate(tb.url+"/farms"),
		chromedp.Click(`//tr[contains(., "tango")]//summary[contains(., "Drain")]`, chromedp.BySearch),
		chromedp.Click(`//button[contains(., "Drain tango")]`, chromedp.BySearch),
		chromedp.WaitVisible(`//tr[contains(., "tango")]//span[contains(., "draining")]`, chromedp.BySearch))
	if got := tb.world.Actions(); len(got) != 1 || got[0].Action != "drain" || got[0].Deadline != 0 {
		t.Errorf("done: %+v", got)
	}
	tb.noTroubles()
}

// takePictures writes a picture of every page, light, dark and at phone width, into the folder that the environment
// variable GATEHOUSE_PICTURES names.
func takePictures(t *testing.T, b browser) {
	folder := os.Getenv("GATEHOUSE_PICTURES")
	if folder == "" {
		t.Skip("GATEHOUSE_PICTURES names no folder for pictures")
	}
	looks := []struct {
		name string
		set  []chromedp.Action
	}{
		{"light", []chromedp.Action{chromedp.EmulateViewport(1280, 900)}},
		{"dark", []chromedp.Action{chromedp.EmulateViewport(1280, 900), dark()}},
		{"phone", []chromedp.Action{phone(390, 844)}},
	}
	for _, look := range looks {
		for _, p := range append(pages, struct{ name, path, heading string }{"calm", "/", ""}) {
			world := consoletest.New(moment)
			if p.name == "calm" {
				world = consoletest.Calm(moment)
			}
			tb := b.tab(t, world)
			tb.run(look.set...)
			tb.open(p.path)
			tb.run(chromedp.Evaluate(`document.querySelectorAll("[data-chart]").forEach((c) => c.scrollIntoView()); scrollTo(0, 0)`, nil))
			if p.name == "connectivity" {
				tb.run(chromedp.Evaluate(`document.querySelectorAll("section.card details")[7].open = true`, nil))
			}
			tb.until(allDrawn)
			var picture []byte
			tb.run(chromedp.FullScreenshot(&picture, 100))
			if err := os.WriteFile(filepath.Join(folder, p.name+"-"+look.name+".png"), picture, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}
