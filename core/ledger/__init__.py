"""Double entry in millisatoshi, append only. The database adds every transfer up and refuses to change one."""
