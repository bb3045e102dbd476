package output

import (
	"io"
	"os"

	"golang.org/x/term"
)

// Style is whether there are colours. The zero value has none.
type Style struct{ coloured bool }

// StyleOf is the style for a stream: colours are for terminals, and never for those who set NO_COLOR (no-color.org).
func StyleOf(w io.Writer, getenv func(string) string) Style {
	return Style{IsTerminal(w) && getenv("NO_COLOR") == "" && getenv("TERM") != "dumb"}
}

// IsTerminal says whether a person reads the stream.
func IsTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Colour is a colour of text.
type Colour string

// The colours.
const (
	Plain  Colour = ""
	Red    Colour = "31"
	Green  Colour = "32"
	Yellow Colour = "33"
	Bold   Colour = "1"
)

// Paint gives the text the colour.
func (s Style) Paint(c Colour, text string) string {
	if !s.coloured || c == Plain || text == "" {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + "\x1b[0m"
}
