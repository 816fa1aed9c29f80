"""Starts Jasmin's own daemon. Its own start takes one lock for the whole machine, so that two tests could not run beside each other."""

import sys

from jasmin.bin.jasmind import JasminDaemon, Options
from twisted.internet import reactor

options = Options()
options.parseOptions(sys.argv[1:])
JasminDaemon(options).start()
reactor.run()
