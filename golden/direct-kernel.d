usr/share/virtc/direct-kernel/plan.json: \
  direct-kernel.xml \
  host.kdl

direct-kernel.xml:

host.kdl:
