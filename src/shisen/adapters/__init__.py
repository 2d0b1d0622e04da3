"""The network side: adapters that know a model's structure, engines that know how to differentiate, wrappers."""
