usr/share/virtc/QEMU-fedora-i686/plan.json: \
  fedora-i686.xml \
  host.kdl

fedora-i686.xml:

host.kdl:
