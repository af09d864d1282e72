"""The control plane that people see: control API and console."""
