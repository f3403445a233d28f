"""What people take home, as pure code: masks and numbers in, files out. No database, no TensorFlow."""
