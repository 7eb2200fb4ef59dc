package cloud

// Parts makes the parts of an upload small, so that a test needs no large file.
func (c *Cloud) Parts(size int64) { c.part = size }
