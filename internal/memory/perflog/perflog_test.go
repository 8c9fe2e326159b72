package perflog

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	utext "golang.org/x/text/encoding/unicode"
)

const twoColumns = `"(PDH-CSV 4.0) (India Standard Time)(-330)","\\A\Process(x)\Private Bytes","\\A\Process(x#2)\ID Process"` + "\r\n"

// read opens a log and returns its rows as text: time and values.
func read(t *testing.T, text string) (*Log, []string) {
	t.Helper()
	l, err := Open(strings.NewReader(text), "test.csv")
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return l, rows(t, l)
}

func rows(t *testing.T, l *Log) []string {
	t.Helper()
	var out []string
	for {
		at, values, err := l.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatalf("next: %v", err)
		}
		out = append(out, at.Format("15:04:05")+fmt.Sprint(values))
	}
}

func TestRows(t *testing.T) {
	for _, tt := range []struct {
		name   string
		body   string // below twoColumns
		want   []string
		counts Counts
	}{
		{"plain", `"01/02/2020 03:04:05.678","1","2"`, []string{"03:04:05[1 2]"}, Counts{Rows: 1}},
		{"no newline at the end of the last of two", "\"01/02/2020 03:04:05.678\",\"1\",\"2\"\n\"01/02/2020 03:04:06.678\",\"3\",\"4\"",
			[]string{"03:04:05[1 2]", "03:04:06[3 4]"}, Counts{Rows: 2}},
		{"blank is missing", `"01/02/2020 03:04:05.678"," ",""`, []string{"03:04:05[NaN NaN]"}, Counts{Rows: 1, Blank: 2}},
		{"minus one is relog's error", `"01/02/2020 03:04:05.678","-1","2"`, []string{"03:04:05[NaN 2]"},
			Counts{Rows: 1, Bad: 1, BadCells: []Note{{2, `"-1" in column 2 is not a value`}}}},
		{"many digits", `"01/02/2020 03:04:05.678","13.959073156484624434","12345678901234567890"`, []string{"03:04:05[13.959073156484624 1.2345678901234567e+19]"}, Counts{Rows: 1}},
		{"exponent", `"01/02/2020 03:04:05.678","1.5e+3","2E2"`, []string{"03:04:05[1500 200]"}, Counts{Rows: 1}},
		{"words for numbers", `"01/02/2020 03:04:05.678","-1.#IND","Inf"`, []string{"03:04:05[NaN NaN]"},
			Counts{Rows: 1, Bad: 2, BadCells: []Note{{2, `"-1.#IND" in column 2 is not a value`}, {2, `"Inf" in column 3 is not a value`}}}},
		{"without quotes and fraction", `01/02/2020 03:04:05,1.5,2`, []string{"03:04:05[1.5 2]"}, Counts{Rows: 1}},
		{"trailing delimiter", `"01/02/2020 03:04:05.678","1","2",`, []string{"03:04:05[1 2]"}, Counts{Rows: 1}},
		{"short row", "\"01/02/2020 03:04:05.678\",\"1\"\n\"01/02/2020 03:04:06.678\",\"1\",\"2\"", []string{"03:04:06[1 2]"},
			Counts{Rows: 1, Dropped: 1, Drops: []Note{{2, "it has 1 values for 2 counters"}}}},
		{"short row with a bad cell counts as one thing", `"01/02/2020 03:04:05.678","x"`, nil,
			Counts{Dropped: 1, Drops: []Note{{2, "it has 1 values for 2 counters"}}, BadCells: []Note{}}},
		{"long row", `"01/02/2020 03:04:05.678","1","2","3"`, nil, Counts{Dropped: 1, Drops: []Note{{2, "it has more values than the 2 counters"}}}},
		{"much too long row", `"01/02/2020 03:04:05.678","1","2","","",""`, nil, Counts{Dropped: 1, Drops: []Note{{2, "it has more values than the 2 counters"}}}},
		{"torn row", `"01/02/2020 03:04:05.678","1","2`, nil, Counts{Dropped: 1, Drops: []Note{{2, "a quotation mark is not closed"}}}},
		{"torn time", `"01/02/2020 03:0`, nil, Counts{Dropped: 1, Drops: []Note{{2, "a quotation mark is not closed"}}}},
		{"time of another form", `"02.01.2020 03:04","1","2"`, nil, Counts{Dropped: 1, Drops: []Note{{2, `the time "02.01.2020 03:04" is not MM/DD/YYYY HH:MM:SS`}}}},
		{"no such day", `"06/31/2020 03:04:05.678","1","2"`, nil, Counts{Dropped: 1, Drops: []Note{{2, `the time "06/31/2020 03:04:05.678" is not MM/DD/YYYY HH:MM:SS`}}}},
		{"farewell", "\"01/02/2020 03:04:05.678\",\"1\",\"2\"\n\nExiting, please wait...\nThe command completed successfully.\n\n", []string{"03:04:05[1 2]"},
			Counts{Rows: 1, Text: 2}},
		{"text between rows is damage", "Exiting\n\"01/02/2020 03:04:05.678\",\"1\",\"2\"", []string{"03:04:05[1 2]"},
			Counts{Rows: 1, Dropped: 1, Drops: []Note{{2, `the time "Exiting" is not MM/DD/YYYY HH:MM:SS`}}}},
		{"time goes back", "\"01/02/2020 03:04:05.678\",\"1\",\"2\"\n\"01/02/2020 02:04:05.678\",\"3\",\"4\"\n\"01/02/2020 02:04:06.678\",\"5\",\"6\"",
			[]string{"03:04:05[1 2]", "02:04:05[3 4]", "02:04:06[5 6]"}, Counts{Rows: 3, Backward: 1}},
		{"header again", twoColumns + `"01/02/2020 03:04:05.678","1","2"`, []string{"03:04:05[1 2]"}, Counts{Rows: 1, Headers: 1}},
		{"header of another log", "\"(PDH-CSV 4.0)\",\"\\A\\B\",\"\\A\\C\"\n\"01/02/2020 03:04:05.678\",\"1\",\"2\"", nil,
			Counts{Dropped: 2, Drops: []Note{{2, "a second header with other columns"}, {3, "it comes after a second header with other columns"}}}},
		{"decimal comma throughout", "\"01/02/2020 03:04:05.678\",\"1,5\",\"2\"\n\"01/02/2020 03:04:06.678\",\"-0,25\",\"2,125\"", []string{"03:04:05[1.5 2]", "03:04:06[NaN 2.125]"},
			Counts{Rows: 2, Bad: 1, BadCells: []Note{{3, `"-0,25" in column 2 is not a value`}}}},
		{"comma where others have a point", "\"01/02/2020 03:04:05.678\",\"1,5\",\"2\"\n\"01/02/2020 03:04:06.678\",\"1.5\",\"2\"", []string{"03:04:05[NaN 2]", "03:04:06[1.5 2]"},
			Counts{Rows: 2, Bad: 1, BadCells: []Note{{2, `"1,5" in column 2 is not a value`}}}},
		{"nul bytes", "\x00\x00\x00\x00", nil, Counts{Dropped: 1, Drops: []Note{{2, `the time "\x00\x00\x00\x00" is not MM/DD/YYYY HH:MM:SS`}}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, got := read(t, twoColumns+tt.body)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.counts, l.Counts()); diff != "" {
				t.Errorf("counts (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHeader(t *testing.T) {
	bias := func(minutes int) *time.Duration { d := time.Duration(minutes) * time.Minute; return &d }
	for _, tt := range []struct {
		name, cell string
		zone       string
		bias       *time.Duration
	}{
		{"typeperf to the screen", `(PDH-CSV 4.0)`, "", nil},
		{"zone and bias", `(PDH-CSV 4.0) (Tokyo Standard Time)(-540)`, "Tokyo Standard Time", bias(-540)},
		{"a word behind", `(PDH-CSV 4.0) (GMT Standard Time)(0) Time`, "GMT Standard Time", bias(0)},
		{"cut short", `(PDH-CSV 4.0) (RTZ 2 (`, "RTZ 2", nil},
		{"parentheses in the zone", `(PDH-CSV 4.0) (RTZ 2 (winter))(-180)`, "RTZ 2 (winter)", bias(-180)},
		{"bias cut short", `(PDH-CSV 4.0) (Tokyo Standard Time)(-54`, "Tokyo Standard Time", nil},
		{"impossible bias", `(PDH-CSV 4.0) (UTC)(99999)`, "UTC", nil},
		{"zone alone", `(PDH-TSV 4.0) (UTC)`, "UTC", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, _ := read(t, `"`+tt.cell+`","\\A\B\C"`)
			if l.Header.Zone != tt.zone {
				t.Errorf("zone %q, want %q", l.Header.Zone, tt.zone)
			}
			if diff := cmp.Diff(tt.bias, l.Header.Bias); diff != "" {
				t.Errorf("bias (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTimeIsThatOfTheBias(t *testing.T) {
	l, err := Open(strings.NewReader(twoColumns+`"01/02/2020 03:04:05.067","1","2"`), "x")
	if err != nil {
		t.Fatal(err)
	}
	at, _, err := l.Next()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := at.Format(time.RFC3339Nano), "2020-01-02T03:04:05.067+05:30"; got != want {
		t.Errorf("time %s, want %s", got, want)
	}
}

func TestDelimiters(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		delimiter  byte
		want       []string
	}{
		{"tabs", "\"(PDH-TSV 4.0) (UTC)(0)\"\t\"\\\\A\\B\\C\"\t\"\\\\A\\B\\D, E\"\r\n\"01/02/2020 03:04:05.678\"\t\"1\"\t\" \"\r\n", '\t', []string{"03:04:05[1 NaN]"}},
		{"semicolons of a spreadsheet", "(PDH-CSV 4.0) (UTC)(0);\\\\A\\B\\C;\\\\A\\B\\D\n01/02/2020 03:04:05;1,5;2\n", ';', []string{"03:04:05[1.5 2]"}},
		{"blank line first", "\r\n\"(PDH-CSV 4.0)\",\"\\A\\B\",\"\\A\\C\"\r\n\"01/02/2020 03:04:05.678\",\"1\",\"2\"\r\n", ',', []string{"03:04:05[1 2]"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, got := read(t, tt.text)
			if l.Header.Delimiter != tt.delimiter {
				t.Errorf("delimiter %q, want %q", l.Header.Delimiter, tt.delimiter)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
		})
	}
}

func TestColumns(t *testing.T) {
	l, _ := read(t, `"(PDH-CSV 4.0)","\\A\Process(x#2)\Private Bytes","Graph_1","\\a\process(x#2)\private bytes","a ""quoted"" name",`)
	want := []Column{
		{Index: 0, Raw: `\\A\Process(x#2)\Private Bytes`, Parsed: true, Path: Path{Host: "A", Object: "Process", Instance: "x", Index: 2, Counter: "Private Bytes"}},
		{Index: 1, Raw: "Graph_1"},
		{Index: 2, Raw: `\\a\process(x#2)\private bytes`, Parsed: true, Path: Path{Host: "a", Object: "process", Instance: "x", Index: 2, Counter: "private bytes"}, Repeat: 1},
		{Index: 3, Raw: `a "quoted" name`},
	}
	if diff := cmp.Diff(want, l.Columns); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
}

func TestSelect(t *testing.T) {
	l, err := Open(strings.NewReader(`"(PDH-CSV 4.0)","a","b","c"`+"\n"+`"01/02/2020 03:04:05.678","1","oops","3"`), "x")
	if err != nil {
		t.Fatal(err)
	}
	l.Select([]int{2, 0, 2, 77})
	if diff := cmp.Diff([]string{"03:04:05[3 1 3 NaN]"}, rows(t, l)); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	if c := l.Counts(); c.Bad != 0 {
		t.Errorf("%d bad cells counted, but the bad one is in a column that nobody wants", c.Bad)
	}
}

func TestMinusOneStaysInHandMadeColumns(t *testing.T) {
	_, got := read(t, `"(PDH-CSV 4.0)","Graph_1"`+"\n"+`"01/02/2020 03:04:05.678","-1"`)
	if diff := cmp.Diff([]string{"03:04:05[-1]"}, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

func TestEncodings(t *testing.T) {
	russian := `"(PDH-CSV 4.0) (RTZ 2 (","\\H\Процесс(x)\Рабочий набор"` + "\r\n" + `"01/02/2020 03:04:05.678","7"` + "\r\n"
	japanese932 := `"(PDH-CSV 4.0) (Tokyo Standard Time)(-540)","\\H\表示(ソ)\能力"` + "\n" // these signs hold a backslash's byte
	utf16 := func(e utext.Endianness, bom utext.BOMPolicy) func(string) string {
		return func(s string) string { return must(utext.UTF16(e, bom).NewEncoder().String(s)) }
	}
	for _, tt := range []struct {
		name, text string
		encode     func(string) string
		encoding   string
		raw        string
	}{
		{"utf-8", russian, func(s string) string { return s }, "UTF-8", `\\H\Процесс(x)\Рабочий набор`},
		{"utf-8 with mark", russian, func(s string) string { return "\ufeff" + s }, "UTF-8", `\\H\Процесс(x)\Рабочий набор`},
		{"utf-16le with mark", russian, utf16(utext.LittleEndian, utext.UseBOM), "UTF-16LE", `\\H\Процесс(x)\Рабочий набор`},
		{"utf-16be with mark", russian, utf16(utext.BigEndian, utext.UseBOM), "UTF-16BE", `\\H\Процесс(x)\Рабочий набор`},
		{"utf-16le", russian, utf16(utext.LittleEndian, utext.IgnoreBOM), "UTF-16LE", `\\H\Процесс(x)\Рабочий набор`},
		{"utf-16be", russian, utf16(utext.BigEndian, utext.IgnoreBOM), "UTF-16BE", `\\H\Процесс(x)\Рабочий набор`},
		{"russian by its words", russian, func(s string) string { return must(charmap.Windows1251.NewEncoder().String(s)) }, "windows-1251", `\\H\Процесс(x)\Рабочий набор`},
		{"german by its words", `"(PDH-CSV 4.0)","\\H\Prozess(größe)\Virtuelle Größe"`, func(s string) string { return must(charmap.Windows1252.NewEncoder().String(s)) }, "windows-1252", `\\H\Prozess(größe)\Virtuelle Größe`},
		{"japanese by the zone", japanese932, func(s string) string { return must(japanese.ShiftJIS.NewEncoder().String(s)) }, "shift_jis", `\\H\表示(ソ)\能力`},
		{"unknown", "\"(PDH-CSV 4.0)\",\"\\\\H\\Obj\xe9(x)\\Counter\"", func(s string) string { return s }, "unknown", `\\H\Obj\xE9(x)\Counter`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, err := Open(iotest.OneByteReader(strings.NewReader(tt.encode(tt.text))), "x")
			if err != nil {
				t.Fatal(err)
			}
			if l.Header.Encoding != tt.encoding {
				t.Errorf("encoding %q, want %q", l.Header.Encoding, tt.encoding)
			}
			if l.Columns[0].Raw != tt.raw {
				t.Errorf("name %q, want %q", l.Columns[0].Raw, tt.raw)
			}
			if tt.text == russian {
				if diff := cmp.Diff([]string{"03:04:05[7]"}, rows(t, l)); diff != "" {
					t.Errorf("rows (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestRefused(t *testing.T) {
	blg := make([]byte, 256)
	copy(blg, "\x00\x00\x01\x00")
	copy(blg[104:], "\x00\x00\x01\x00")
	for _, tt := range []struct{ name, text, want string }{
		{"empty", "", "is empty"},
		{"white space", " \r\n\r\n", "holds only white space"},
		{"long format", "\ufeffTime,Computer,Object,Counter,Instance,Value\r\n", "looks like a table with the columns Time, Computer, Object, Counter, …"},
		{"blg", string(blg), "is a binary log"},
		{"gzip", "\x1f\x8b\x08\x00", "compressed with gzip"},
		{"binary", "\x01\x00\x02\x03\x04", "binary data"},
		{"json", `{"a":1}`, "looks like JSON"},
		{"xml", "<?xml?>", "XML"},
		{"text", "dear diary", `begins with the text "dear diary"`},
		{"no counter", `"(PDH-CSV 4.0)"` + "\n", "names no counter"},
		{"torn header", `"(PDH-CSV 4.0)","\\A\B\C`, "the header is damaged"},
		{"too many counters", `"(PDH-CSV 4.0)"` + strings.Repeat(`,"a"`, MaxColumns+1), "more than 100000 counters"},
		{"endless header", `"(PDH-CSV 4.0)","` + strings.Repeat("a", MaxLine), "longer than the limit"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Open(strings.NewReader(tt.text), "dir/file.csv")
			if err == nil {
				t.Fatal("was not refused")
			}
			msg := err.Error()
			if !strings.HasPrefix(msg, "read dir/file.csv: ") || !strings.Contains(msg, tt.want) || strings.ContainsAny(msg, "\r\n") {
				t.Errorf("error %q, want one line that names the file and says %q", msg, tt.want)
			}
		})
	}
}

func TestEndlessRowCostsThatRow(t *testing.T) {
	good := `"01/02/2020 03:04:05.678","1","2"` + "\n"
	l, got := read(t, twoColumns+good+`"01/02/2020 03:04:05.678","`+strings.Repeat("1", MaxLine+10)+"\"\n"+good)
	if len(got) != 2 || l.Counts().Dropped != 1 || l.Counts().Drops[0] != (Note{3, tooLong}) {
		t.Errorf("rows %v, counts %+v", got, l.Counts())
	}
}

func TestReaderErrorIsGivenOn(t *testing.T) {
	cause := errors.New("disk on fire")
	_, err := Open(iotest.ErrReader(cause), "x")
	if !errors.Is(err, cause) {
		t.Errorf("open: %v", err)
	}
	l, err := Open(io.MultiReader(strings.NewReader(twoColumns), iotest.ErrReader(cause)), "x")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err = l.Next(); !errors.Is(err, cause) || !strings.HasPrefix(err.Error(), "read x: line 2: ") {
		t.Errorf("next: %v", err)
	}
}

func TestNumbers(t *testing.T) {
	for _, tt := range []struct {
		text string
		mark decimals
		want float64
		st   numberState
	}{
		{"0", '.', 0, numberOK}, {"12", 0, 12, numberOK}, {"999999999999999", 0, 999999999999999, numberOK},
		{"1234567890123456", 0, 1234567890123456, numberOK}, {"0.1", '.', 0.1, numberOK}, {"123456.789", '.', 123456.789, numberOK},
		{"0.000000000000001", '.', 1e-15, numberOK}, {" 7 ", '.', 7, numberOK}, {"-3.5", '.', -3.5, numberOK}, {"+4", '.', 4, numberOK},
		{"5.", '.', 0, numberBad}, {".", '.', 0, numberBad}, {"1.2.3", '.', 0, numberBad}, {"1,234.5", '.', 0, numberBad}, {"0x10", '.', 0, numberBad},
		{"nan", '.', 0, numberBad}, {"1e999", '.', 0, numberBad}, {"1_0", '.', 0, numberBad}, {"1.234,5", ',', 0, numberBad}, {"1,5", ',', 1.5, numberOK},
		{"", '.', 0, numberBlank}, {" ", '.', 0, numberBlank}, {"1.5", ',', 0, numberBad}, {strings.Repeat("1", 65), '.', 0, numberBad},
	} {
		d := tt.mark
		got, st := d.parse([]byte(tt.text))
		if got != tt.want || st != tt.st {
			t.Errorf("parse(%q) with %q: %v %v, want %v %v", tt.text, byte(tt.mark), got, st, tt.want, tt.st)
		}
	}
}

func TestDecimalsAreDecidedByTheFirstThatIsSeen(t *testing.T) {
	l, _ := read(t, twoColumns+`"01/02/2020 03:04:05.678","1","2"`)
	if l.Decimals() != 0 {
		t.Errorf("mark %q without any decimals", l.Decimals())
	}
	l, _ = read(t, twoColumns+`"01/02/2020 03:04:05.678","1","2,5"`)
	if l.Decimals() != ',' {
		t.Errorf("mark %q, want a comma", l.Decimals())
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func FuzzLog(f *testing.F) {
	f.Add([]byte(twoColumns + `"01/02/2020 03:04:05.678","1","2"`))
	f.Add([]byte("\"(PDH-TSV 4.0)\"\t\"\\\\A\\B\\C\"\n\"01/02/2020 03:04:05.678\"\t\"1,5\"\nExiting"))
	f.Add([]byte("\xff\xfe\"\x00(\x00P\x00D\x00H\x00-\x00"))
	f.Add([]byte("\"(PDH-CSV 4.0) (RTZ 2 (\",\"\\\\H\\\xcf\xf0\xee\xf6\xe5\xf1\xf1(x)\\b\"\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := Open(strings.NewReader(string(data)), "f")
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r") {
				t.Fatalf("error of several lines: %q", err)
			}
			return
		}
		for n := 0; ; n++ {
			at, values, err := l.Next()
			if errors.Is(err, io.EOF) {
				if c := l.Counts(); c.Rows != n || len(c.Drops) > c.Dropped || len(c.BadCells) > c.Bad {
					t.Fatalf("%d rows, counts %+v", n, c)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(values) != len(l.Columns) || at.Year() < 1980 {
				t.Fatalf("%d values for %d columns at %v", len(values), len(l.Columns), at)
			}
			for _, v := range values {
				if math.IsInf(v, 0) {
					t.Fatal("an infinite value")
				}
			}
		}
	})
}
