usr/share/virtc/windows/plan.json: \
  windows.xml \
  host.kdl

windows.xml:

host.kdl:
