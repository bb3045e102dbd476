// Command look looks at the site in dist/site as people do: every page in a headless Chromium, as wide as a telephone and as a desktop,
// in the light and in the dark. It fails on what the console reports as an error and on pages that are wider than the window, and leaves
// pictures in dist/pictures.
package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

const (
	site     = "dist/site"
	pictures = "dist/pictures"
	patience = 30 * time.Second // for one page
)

type screen struct {
	name          string
	width, height int64
	scheme        string
}

// screens are the sizes that are looked at.
var screens = []screen{
	{"phone", 390, 844, "dark"},
	{"desktop", 1280, 900, "light"},
	{"phone", 390, 844, "light"},
	{"desktop", 1280, 900, "dark"},
}

// everywhere is how many of the screens all pages are looked at on; the others are for those of which pictures are kept.
const everywhere = 2

// pictured are the pages of which pictures are kept.
var pictured = []string{"index", "choose", "start/eks", "registrycredential", "security"}

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	pages, err := found()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(pictures, 0o750); err != nil {
		return err
	}
	server := httptest.NewServer(http.FileServer(http.Dir(site)))
	defer server.Close()
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox) // it reads our own pages, and may run as root
	ctx, stop := chromedp.NewExecAllocator(ctx, options...)
	defer stop()
	ctx, stop = chromedp.NewContext(ctx)
	defer stop()
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil { // the browser lives as long as this context
		return err
	}
	var errs []error
	for _, page := range pages {
		for i, screen := range screens {
			if i >= everywhere && !slices.Contains(pictured, page) {
				continue
			}
			if err := look(ctx, server.URL, page, screen); err != nil {
				errs = append(errs, fmt.Errorf("%s on a %s %s: %w", page, screen.scheme, screen.name, err))
			}
		}
	}
	fmt.Printf("looked at %d pages on %d screens, and at %d of them on %d more\n", len(pages), everywhere, len(pictured), len(screens)-everywhere)
	return errors.Join(errs...)
}

// found are the pages of the site, without .html.
func found() ([]string, error) {
	var pages []string
	err := filepath.WalkDir(site, func(path string, _ fs.DirEntry, err error) error {
		if name, ok := strings.CutSuffix(strings.TrimPrefix(path, site+"/"), ".html"); ok && name != "404" {
			pages = append(pages, name)
		}
		return err
	})
	if err == nil && len(pages) < 20 {
		err = fmt.Errorf("%s has %d pages only: run make site", site, len(pages))
	}
	return pages, err
}

func look(browser context.Context, url, page string, screen screen) error {
	ctx, stop := chromedp.NewContext(browser)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var mu sync.Mutex
	var said []string
	err := chromedp.Listen(ctx, func(event any) {
		mu.Lock()
		defer mu.Unlock()
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			said = append(said, e.ExceptionDetails.Text)
		case *runtime.EventConsoleAPICalled:
			if e.Type == "error" {
				said = append(said, fmt.Sprintf("console: %s", e.Args[0].Value))
			}
		}
	})
	if err != nil {
		return err
	}
	if err := chromedp.Do(ctx, as(screen), chromedp.Navigate(url+"/"+page+".html"), chromedp.WaitReady("main")); err != nil {
		return err
	}
	width, err := chromedp.Run(ctx, chromedp.Evaluate[int64](`document.documentElement.scrollWidth`))
	if err != nil {
		return err
	}
	wide, err := chromedp.Run(ctx, chromedp.Evaluate[string](widest))
	if err != nil {
		return err
	}
	picture, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		return err
	}
	var errs []error
	for _, s := range said {
		errs = append(errs, errors.New(s))
	}
	if width > screen.width || wide != "" {
		errs = append(errs, fmt.Errorf("the page is %d wide, and too wide are: %s", width, wide))
	}
	if slices.Contains(pictured, page) {
		file := strings.Join([]string{strings.ReplaceAll(page, "/", "-"), screen.name, screen.scheme}, "-") + ".png"
		errs = append(errs, os.WriteFile(filepath.Join(pictures, file), picture, 0o600))
	}
	return errors.Join(errs...)
}

// as makes the tab a screen.
func as(s screen) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
			Width: s.width, Height: s.height, DeviceScaleFactor: 1, Mobile: s.name == "phone",
		})
		if err == nil {
			_, err = cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: s.scheme}},
			})
		}
		return chromedp.Void{}, err
	}
}

// widest names tables that reach out of the window and cannot be scrolled by themselves.
const widest = `[...document.querySelectorAll('main table, main img')].filter(e => {
  const box = e.getBoundingClientRect()
  return box.right > innerWidth + 1 && getComputedStyle(e).overflowX !== 'auto'
}).map(e => e.tagName + ' ' + e.textContent.slice(0, 40)).join('; ')`
