package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// printer writes the timeline: the seconds since the start, a mark and what happened.
type printer struct {
	out    io.Writer
	colour bool
	began  time.Time
}

const (
	plain = ""
	bold  = "1"
	dim   = "2"
	red   = "31"
	green = "32"
)

func newPrinter(out *os.File) *printer {
	info, err := out.Stat()
	terminal := err == nil && info.Mode()&os.ModeCharDevice != 0
	return &printer{out: out, colour: terminal && os.Getenv("NO_COLOR") == "", began: time.Now()}
}

// heading starts a part of the timeline.
func (p *printer) heading(name string) { fmt.Fprintf(p.out, "\n%s\n", p.paint(bold, name)) }

// done tells of something that has happened as it should.
func (p *printer) done(format string, args ...any) { p.line(green, "✔", format, args...) }

// waiting tells what the next silence is for.
func (p *printer) waiting(format string, args ...any) { p.line(dim, "…", format, args...) }

func (p *printer) failed(format string, args ...any) { p.line(red, "✘", format, args...) }

// say tells of something that is neither.
func (p *printer) say(format string, args ...any) { p.line(plain, " ", format, args...) }

func (p *printer) line(colour, mark, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if colour == dim {
		text = p.paint(dim, text)
	}
	fmt.Fprintf(p.out, "%6.1fs  %s %s\n", time.Since(p.began).Seconds(), p.paint(colour, mark), text)
}

// command shows a command and what it printed.
func (p *printer) command(command string, output []byte) {
	p.block("$ " + command + "\n" + string(output))
}

// block shows text below a line of the timeline, aligned with it.
func (p *printer) block(text string) {
	for line := range strings.Lines(strings.TrimRight(text, "\n")) {
		fmt.Fprintf(p.out, "%11s%s\n", "", p.paint(dim, strings.TrimRight(line, " \n")))
	}
}

// quote shows a sentence, folded to the width of the timeline.
func (p *printer) quote(sentence string) {
	const width = 110
	var text strings.Builder
	column := 0
	for word := range strings.FieldsSeq(sentence) {
		switch {
		case column == 0:
		case column+len(word) >= width:
			text.WriteByte('\n')
			column = 0
		default:
			text.WriteByte(' ')
		}
		text.WriteString(word)
		column += len(word) + 1
	}
	p.block(text.String())
}

func (p *printer) passed() {
	fmt.Fprintf(p.out, "\n%s\n", p.paint(green, fmt.Sprintf("demo passed in %.0f s", time.Since(p.began).Seconds())))
}

func (p *printer) paint(colour, text string) string {
	if !p.colour || colour == plain {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// brief is a duration as a person says it.
func brief(d time.Duration) string {
	if d < 10*time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

func counted(n int, what string) string {
	switch n {
	case 0:
		return "no " + what
	case 1:
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
