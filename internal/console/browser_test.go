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

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
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
	options := append([]chromedp.ExecAllocatorOption{}, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck, chromedp.NoSandbox,
		chromedp.DisableGPU, chromedp.ExecPath(program), chromedp.UserDataDir(t.TempDir()), chromedp.Headless)
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
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start browser: %v", err)
	}
	return browser{ctx}
}

// tab is one page of the browser on one installation.
type tab struct {
	t      *testing.T
	ctx    context.Context
	world  *consoletest.World
	server *httptest.Server
	url    string

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
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("open tab: %v", err)
	}
	ctx, stop := context.WithTimeout(ctx, 90*time.Second)
	tb := &tab{t: t, ctx: ctx, world: world, server: server, url: server.URL}
	if err := chromedp.Listen(ctx, tb.listen); err != nil {
		t.Fatalf("listen to the tab: %v", err)
	}
	tb.run(command(cdplog.Enable, cdp.Empty{}), command(cdpruntime.Enable, cdp.Empty{}))
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
		trouble = "exception: " + (&chromedp.ExceptionError{ExceptionDetails: e.ExceptionDetails}).Error()
	case *cdpruntime.EventConsoleAPICalled:
		if e.Type == cdpruntime.ConsoleAPICalledTypeError || e.Type == cdpruntime.ConsoleAPICalledTypeWarning {
			trouble = fmt.Sprintf("console.%s: %s", e.Type, e.Args[0].Value)
		}
	case *cdplog.EventEntryAdded:
		if e.Entry.Level == cdplog.EntryLevelError || e.Entry.Level == cdplog.EntryLevelWarning {
			trouble = fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL)
		}
	}
	if trouble != "" {
		tb.mu.Lock()
		defer tb.mu.Unlock()
		tb.troubles = append(tb.troubles, trouble)
	}
}

// step is one thing that is done to a page.
type step = chromedp.Action[chromedp.Void]

// command sends one command of the protocol.
func command[P, R any](c cdp.Command[P, R], params P) step {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, c, params)
		return err
	})
}

func (tb *tab) run(steps ...step) {
	tb.t.Helper()
	if err := chromedp.Do(tb.ctx, steps...); err != nil {
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

// until waits for a JavaScript expression to become true. It asks from outside the page, whose content policy allows no
// code that is made from text.
func (tb *tab) until(expression string) {
	tb.t.Helper()
	wait := `new Promise((done) => { const end = Date.now() + 20000; const look = () => { if (` + expression + `) done(true); else if (Date.now() > end) done(false); else setTimeout(look, 20); }; look(); })`
	ok, err := chromedp.Run(tb.ctx, chromedp.Evaluate[bool](wait, chromedp.EvalAwaitPromise))
	if err != nil || !ok {
		page, _ := chromedp.Run(tb.ctx, chromedp.Evaluate[string](`document.body.innerText.slice(0, 2000)`))
		tb.t.Fatalf("waited in vain for %s (%v)\nthe page says:\n%s", expression, err, page)
	}
}

// evaluate returns the value of a JavaScript expression.
func evaluate[T any](tb *tab, expression string) T {
	tb.t.Helper()
	v, err := chromedp.Run(tb.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		tb.t.Fatalf("evaluate %s: %v", expression, err)
	}
	return v
}

func (tb *tab) open(path string) {
	tb.t.Helper()
	tb.run(chromedp.Navigate(tb.url + path))
	tb.until(`document.getElementById("live").textContent === "live"`)
}

func screen(width, height int64) step { return chromedp.EmulateViewport(width, height) }

func phone(width int64) step {
	return command(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: 844, DeviceScaleFactor: 2, Mobile: true})
}

func scheme(name string) step {
	return command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}})
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
			for _, width := range []int64{1280, 900, 768, 390, 320} {
				tb.run(phone(width))
				tb.open(p.path)
				tb.until(allDrawn)
				heading := evaluate[string](tb, `document.querySelector("h1").textContent`)
				wide := evaluate[float64](tb, `document.scrollingElement.scrollWidth - document.documentElement.clientWidth`)
				if heading != p.heading {
					t.Errorf("heading is %q, want %q", heading, p.heading)
				}
				if wide > 0 {
					culprits := evaluate[[]string](tb, `[...document.querySelectorAll("main *, header *")].filter((e) => e.getBoundingClientRect().right > innerWidth + 1).slice(0, 5).map((e) => e.outerHTML.slice(0, 120))`)
					t.Errorf("at %d px the page is %v px too wide: %s", width, wide, strings.Join(culprits, "\n"))
				}
			}
			for _, name := range []string{"light", "dark"} {
				tb.run(scheme(name))
				if faint := evaluate[[]string](tb, faintText); len(faint) > 0 {
					t.Errorf("%s: text below a contrast of 4.5: %s", name, strings.Join(faint, "; "))
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
	tb.run(screen(1280, 900), scheme("dark"))
	tb.open("/memory/w3svc-2204?span=7d")
	tb.until(`document.querySelector("[data-chart] canvas")`)
	// A drawn chart has many colours: memory, floor, trend, axis. An empty canvas has one.
	tb.until(`(() => { const c = document.querySelector("[data-chart] canvas"); const d = c.getContext("2d").getImageData(0, 0, c.width, c.height).data;
		const seen = new Set(); for (let i = 0; i < d.length; i += 4) if (d[i + 3] > 200) seen.add(d[i] + "," + d[i + 1] + "," + d[i + 2]); return seen.size > 3; })()`)
	background := evaluate[string](tb, `getComputedStyle(document.body).backgroundColor`)
	if background != "rgb(15, 20, 26)" {
		t.Errorf("dark mode has the background %s", background)
	}
	tb.noTroubles()
}

func testUpdate(t *testing.T, b browser) {
	tb := b.tab(t, consoletest.New(moment))
	tb.run(screen(1280, 900))
	tb.open("/farms")
	// What the reader does must survive an update: an open menu, what is typed, the focus, the place in the page.
	tb.run(chromedp.Click(`//tr[contains(., "tango")]//summary[contains(., "Drain")]`),
		chromedp.SendKeys(chromedp.CSS(`details[open] input`), "25m"))
	evaluate[chromedp.Void](tb, `void (window.before = document.activeElement, window.row = document.activeElement.closest("tr"), scrollTo(0, 60))`)
	tb.world.SetSessions("shop", "tango", 1399)
	tb.until(`document.querySelector("#page").innerText.includes("1,399")`)
	for _, kept := range []string{
		`document.activeElement === window.before && document.activeElement.value === "25m"`,
		`document.activeElement.closest("details").open`,
		`window.row.isConnected && window.row.innerText.includes("1,399")`,
	} {
		if !evaluate[bool](tb, kept) {
			t.Errorf("after an update this no longer holds: %s", kept)
		}
	}
	tb.noTroubles()
}

// testDrainByKeyboard drains a member and resumes it with no pointer at all.
func testDrainByKeyboard(t *testing.T, b browser) {
	tb := b.tab(t, consoletest.New(moment))
	tb.run(screen(1280, 900))
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
	tb.until(`document.activeElement.textContent === "Resume tango"`) // the place of the menu that was used
	tb.run(chromedp.KeyEvent(kb.Enter))
	tb.until(`document.getElementById("outcome").innerText.includes("tango is back")`)
	tb.noTroubles()
}

// tabTo presses Tab until what has the focus has that text, and sees to it that the focus shows.
func (tb *tab) tabTo(text string) {
	tb.t.Helper()
	for presses := range 80 {
		if presses > 0 {
			tb.run(chromedp.KeyEvent(kb.Tab))
		}
		focused := evaluate[struct{ Text, Outline string }](tb,
			`({Text: document.activeElement.textContent.trim(), Outline: getComputedStyle(document.activeElement).outlineStyle})`)
		if presses > 0 && focused.Outline == "none" {
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
	tb.run(phone(390))
	tb.open("/farms")
	tb.run(chromedp.Click(`//tr[contains(., "victor")]//summary[contains(., "Remove")]`))
	if n := len(tb.world.Actions()); n != 0 {
		t.Fatalf("removed without asking")
	}
	tb.run(chromedp.KeyEvent(kb.Escape))
	tb.until(`!document.querySelector("details.menu[open]")`)
	tb.run(chromedp.Click(`//tr[contains(., "victor")]//summary[contains(., "Remove")]`),
		chromedp.Click(`//button[contains(., "Remove victor now")]`))
	tb.until(`document.getElementById("outcome").innerText.includes("victor is removed")`)
	if got := tb.world.Actions(); len(got) != 1 || got[0].Action != "remove" {
		t.Errorf("done: %+v", got)
	}
	tb.noTroubles()
}

func testCheckNow(t *testing.T, b browser) {
	tb := b.tab(t, consoletest.New(moment))
	tb.open("/connectivity")
	tb.run(chromedp.Click(`//section[contains(., "shop/uniform")]//button[contains(., "Check now")]`))
	tb.until(`document.getElementById("outcome").innerText.includes("shop/uniform: refused")`)
	tb.noTroubles()
	tb.world.Silence("verify", errors.New("dial verify.sock: connection refused"))
	tb.run(chromedp.Click(`//section[contains(., "shop/uniform")]//button[contains(., "Check now")]`))
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

// testReconnects cuts the page's connections and sees it come back with what it missed.
func testReconnects(t *testing.T, b browser) {
	tb := b.tab(t, consoletest.New(moment))
	tb.open("/farms")
	tb.server.CloseClientConnections()
	tb.until(`document.getElementById("live").textContent === "reconnecting"`)
	tb.world.SetSessions("shop", "tango", 7654)
	tb.until(`document.getElementById("live").textContent === "live" && document.body.innerText.includes("7,654")`)
}

func testWithoutScripts(t *testing.T, b browser) {
	tb := b.tab(t, consoletest.New(moment))
	tb.run(command(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}), screen(1280, 900))
	tb.run(chromedp.Navigate(tb.url+"/memory/w3svc-2204"), chromedp.WaitVisible(chromedp.CSS(`figure img`)))
	if width := evaluate[int](tb, `document.querySelector("figure img").naturalWidth`); width != 720 {
		t.Errorf("the picture of the chart has %d px", width)
	}
	tb.run(chromedp.Navigate(tb.url+"/farms"),
		chromedp.Click(`//tr[contains(., "tango")]//summary[contains(., "Drain")]`),
		chromedp.Click(`//button[contains(., "Drain tango")]`),
		chromedp.WaitVisible(`//tr[contains(., "tango")]//span[contains(., "draining")]`))
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
		set  []step
	}{
		{"light", []step{screen(1280, 900)}},
		{"dark", []step{screen(1280, 900), scheme("dark")}},
		{"phone", []step{phone(390)}},
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
			for i := range evaluate[int](tb, `document.querySelectorAll("[data-chart]").length`) { // they are drawn when they come into view
				chart := fmt.Sprintf(`document.querySelectorAll("[data-chart]")[%d]`, i)
				tb.until(`(` + chart + `.scrollIntoView(), ` + chart + `.querySelector("canvas, .chart-note"))`)
			}
			evaluate[chromedp.Void](tb, `void scrollTo(0, 0)`)
			if p.name == "connectivity" {
				evaluate[bool](tb, `document.querySelectorAll("section.card details")[7].open = true`)
			}
			if p.name == "farms" {
				tb.run(chromedp.Click(`//tr[contains(., "tango")]//summary[contains(., "Drain")]`))
			}
			picture, err := chromedp.Run(tb.ctx, chromedp.FullScreenshot(100))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(folder, p.name+"-"+look.name+".png"), picture, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}
