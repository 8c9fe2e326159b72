package perflog

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// English names of the object and the counters that a memory verdict needs.
const (
	Process           = "Process"
	PrivateBytes      = "Private Bytes"
	VirtualBytes      = "Virtual Bytes"
	WorkingSet        = "Working Set"
	WorkingSetPrivate = "Working Set - Private"
	IDProcess         = "ID Process"
	ElapsedTime       = "Elapsed Time"
	HandleCount       = "Handle Count"
	ThreadCount       = "Thread Count"
	ProcessorTime     = "% Processor Time"
)

// The names that other languages' Windows gives them. Verified against a real log: English (all of them), Russian "Процесс",
// "Рабочий набор" and "% загруженности процессора". Windows in Japanese and Chinese wrote English names in the logs seen; their
// own words here, and all other names, are recalled from documentation and screens and not verified.
var (
	objectNames = wordTable(false, map[string][]string{
		Process: {
			"Процесс",                  // Russian
			"Prozess",                  // German
			"Processus",                // French
			"Proceso",                  // Spanish
			"Processo",                 // Portuguese, Italian
			"プロセス",                     // Japanese
			"进程", "處理程序", "处理程序", "行程", // Chinese
		},
		"Memory": {"Память", "Speicher", "Arbeitsspeicher", "Mémoire", "Memoria", "Memória", "メモリ", "内存", "記憶體"},
	})
	counterNames = wordTable(true, map[string][]string{
		PrivateBytes: {
			"Байт исключительного пользования", "Байты исключительного пользования", "Байт частного пользования",
			"Private Bytes", "Private Größe", "Octets privés", "Bytes privados", "Bytes particulares",
			"プライベート バイト", "プライベート バイト数", "专用字节", "专用字节数", "私用位元組",
		},
		VirtualBytes: {
			"Octets virtuels", //nolint:misspell // French
			"Байт виртуальной памяти", "Виртуальных байт", "Virtuelle Größe", "Virtuelle Bytes", "Bytes virtuales", "Bytes virtuais",
			"仮想バイト", "仮想バイト数", "虚拟字节", "虚拟字节数", "虛擬位元組",
		},
		WorkingSet: {
			"Рабочий набор", "Рабочее множество", "Arbeitsseiten", "Arbeitssatz", "Plage de travail", "Jeu de travail",
			"Espacio de trabajo", "Conjunto de trabajo", "Conjunto de trabalho", "ワーキング セット", "工作集", "工作設定",
		},
		WorkingSetPrivate: {
			"Рабочий набор (частный)", "Рабочий набор - частный", "Arbeitsseiten - Privat", "Arbeitsseiten - privat",
			"Plage de travail - Privée", "Plage de travail - privé", "Espacio de trabajo - privado", "Conjunto de trabajo - privado",
			"Conjunto de trabalho - particular", "Conjunto de trabalho - privado", "ワーキング セット - プライベート", "工作集 - 专用", "工作設定 - 私用",
		},
		IDProcess: {
			"Идентификатор процесса", "Prozesskennung", "Prozess-ID", "ID de processus", "ID du processus", "Id. de proceso",
			"Identificador de proceso", "Identificação do processo", "ID do processo", "Processo de identificação", "プロセス ID", "进程 ID", "處理程序識別碼", "Process ID",
		},
		ElapsedTime: {
			"Прошло времени (сек)", "Прошедшее время", "Истекшее время", "Verstrichene Zeit", "Temps écoulé", "Tiempo transcurrido",
			"Tempo decorrido", "経過時間", "运行时间", "已用时间", "經過時間",
		},
		HandleCount: {
			"Счетчик дескрипторов", "Счётчик дескрипторов", "Число дескрипторов", "Handleanzahl", "Anzahl Handles", "Nombre de handles", "Nombre de descripteurs",
			"Número de identificadores", "Recuento de identificadores", "Contagem de identificadores", "ハンドル数", "句柄数", "句柄计数", "控制代碼計數",
		},
		ThreadCount: {
			"Счетчик потоков", "Счётчик потоков", "Число потоков", "Threadanzahl", "Anzahl Threads", "Nombre de threads", "Número de subprocesos",
			"Recuento de subprocesos", "Contagem de threads", "Contagem de segmentos", "スレッド数", "线程数", "线程计数", "執行緒計數",
		},
		ProcessorTime: {
			"% загруженности процессора", "Prozessorzeit (%)", "% temps processeur", "% Temps processeur", "% de tiempo de procesador",
			"% tempo de processador", "% de tempo do processador", "プロセッサ時間 (%)", "% 处理器时间", "% 處理器時間",
		},
		"Commit Limit": {"Предел выделенной виртуальной памяти", "Zusagegrenze", "Limite pour la mémoire dédiée", "Límite de confirmación", "Limite de confirmação"},
	})
)

// words is a table from a name in any language, folded, to the English one.
type words struct {
	english map[string]string
	foreign []string // folded names with signs beyond ASCII, which damage can be undone by
	strict  bool     // whether a damaged name must have more left than its length
}

func wordTable(strict bool, table map[string][]string) words {
	w := words{english: map[string]string{}, strict: strict}
	for english, others := range table {
		w.english[fold(english)] = english
		for _, other := range others {
			w.english[fold(other)] = english
			if !isASCII([]byte(other)) {
				w.foreign = append(w.foreign, fold(other))
			}
		}
	}
	return w
}

// EnglishObject returns the English name of a performance object that a memory verdict needs, whatever language the log is in;
// any other name is returned as it is.
func EnglishObject(name string) string { return objectNames.lookup(name) }

// EnglishCounter returns the English name of a counter that a memory verdict needs, whatever language the log is in; any other
// name is returned as it is.
func EnglishCounter(name string) string { return counterNames.lookup(name) }

func (w words) lookup(name string) string {
	if english, ok := w.english[fold(name)]; ok {
		return english
	}
	if isASCII([]byte(name)) && !strings.Contains(name, "?") {
		return name
	}
	if english, ok := w.english[fold(unmix(name))]; ok {
		return english
	}
	if english := w.repair(fold(name)); english != "" {
		return english
	}
	return name
}

func knownName(w words, name string) bool {
	_, ok := w.english[fold(name)]
	return ok
}

func fold(name string) string { return strings.ToLower(strings.Join(strings.Fields(name), " ")) }

// unmix undoes UTF-8 that was taken for a code page and written as UTF-8 again; a name that was not is returned as it is.
func unmix(name string) string {
	for _, page := range []*charmap.Charmap{charmap.Windows1252, charmap.Windows1251} {
		b, err := page.NewEncoder().String(name)
		if err == nil && b != name && utf8.ValidString(b) {
			return b
		}
	}
	return name
}

// repair finds the name whose letters beyond ASCII were replaced by question marks on the way. It returns "" when there is
// none, or when names of different meaning fit. The counters' table takes no name of which nothing but the length is left.
func (w words) repair(name string) string {
	if !strings.ContainsAny(name, "?\uFFFD") || w.strict && strings.Trim(name, "?\uFFFD") == "" {
		return ""
	}
	found := ""
	for _, candidate := range w.foreign {
		if !fitsDamaged(candidate, name) {
			continue
		}
		english := w.english[candidate]
		if found != "" && found != english {
			return ""
		}
		found = english
	}
	return found
}

func fitsDamaged(whole, damaged string) bool {
	a, b := []rune(whole), []rune(damaged)
	if len(a) != len(b) {
		return false
	}
	for i, r := range b {
		lost := r == '?' || r == utf8.RuneError
		if lost && a[i] < utf8.RuneSelf || !lost && a[i] != r {
			return false
		}
	}
	return true
}
