"""A whole working day of five people on the emulator: `residents` write, `script` works, `page` shows it."""
