package providers

// Waiter is who wants to know when there is news. Waiters are compared, so the type must be comparable: one who asks again while waiting is
// woken once all the same.
type Waiter interface {
	// Wake does not block.
	Wake()
}
