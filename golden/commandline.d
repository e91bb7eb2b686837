usr/share/virtc/commandline/plan.json: \
  commandline.xml \
  host.kdl

commandline.xml:

host.kdl:
