//go:build lab

package broker

import (
	"os"
	"time"
)

// A build with the tag lab is for tests alone: REGCRED_LAB_FLOOR lets those that ask for token after token have them, and those that are
// refused at a registry be tried again, without waiting for minutes.
func init() {
	if floor, err := time.ParseDuration(os.Getenv("REGCRED_LAB_FLOOR")); err == nil {
		maxFloor, minGrant, maxGrant = floor, floor, floor
	}
}
