// Command pause does nothing until it is told to end, and reaps what is orphaned beneath it. It is the sandbox of a pod, the workload in
// a pod, and the first process of a node. As a workload with an argument it ends by itself after that time.
package main

import (
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGCHLD)
	var over <-chan time.Time
	if len(os.Args) > 1 {
		life, err := time.ParseDuration(os.Args[1])
		if err != nil {
			println("pause:", err.Error())
			os.Exit(2)
		}
		over = time.After(life)
	}
	for {
		select {
		case <-over:
			return
		case s := <-signals:
			if s != syscall.SIGCHLD {
				return
			}
			for {
				if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 || err != nil {
					break
				}
			}
		}
	}
}
