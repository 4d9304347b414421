"""The folder of ``upsample.pc``; the entry point ``pkg_config`` leads here."""
