"""Real model servers with their own official clients, direct and through the gateway. `make test-servers` installs."""
