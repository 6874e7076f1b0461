#!/bin/sh
# Makes the clips of this folder: 8 kHz µ-law without a header, about -20 dBFS while the voice sounds.
# Needs flite and sox. flite draws random numbers: the files differ slightly each time.
set -eu
cd "$(dirname "$0")"
say() {
    flite -voice "$1" -t "$3" -o /tmp/say.$$.wav
    sox /tmp/say.$$.wav -r 8000 -c 1 -e u-law -b 8 -t raw "$2.ulaw" gain -n -6
    rm /tmp/say.$$.wav
}
say rms stop "Stop, please."
say rms anybody "Hello, is anybody there?"
say slt order "Can you tell me where my order is?"
say slt wait "No, wait a moment."
