"""Two real Lightning nodes (Electrum) on a chain of their own (bcoin, regtest), for the demo and for `tests/lightning`.
`install.sh` beside this file gets the programs; everything listens on loopback and the coins are worth nothing."""
