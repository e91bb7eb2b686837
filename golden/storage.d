usr/share/virtc/storage/plan.json: \
  storage.xml \
  host.kdl

storage.xml:

host.kdl:
