usr/share/virtc/desktop/plan.json: \
  desktop.xml \
  host.kdl

desktop.xml:

host.kdl:
