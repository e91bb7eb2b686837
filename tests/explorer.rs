//! The page of `virtc explain --html`: every link leads somewhere and back, nothing is fetched, and no text of a domain
//! becomes a tag.

use crate::common::{root, skip, tool, virtc};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// An element of a page: its attributes, and the text in it.
#[derive(Clone, Debug, Default)]
struct Element {
    tag: String,
    attributes: BTreeMap<String, String>,
    text: String,
}

impl Element {
    fn get(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }

    fn origins(&self) -> Vec<String> {
        self.get("data-c").split(' ').map(|c| format!("c{c}")).collect()
    }
}

fn unescape(text: &str) -> String {
    let pairs = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")];
    pairs.iter().fold(text.to_string(), |text, (from, to)| text.replace(from, to))
}

/// The elements of a page. It is written so that a strict reader needs no rule for what is left out.
fn elements(page: &str) -> Vec<Element> {
    const VOID: [&str; 2] = ["meta", "input"];
    let mut rest = page.strip_prefix("<!DOCTYPE html>\n").expect("a document type");
    let (mut done, mut open): (Vec<Element>, Vec<Element>) = (Vec::new(), Vec::new());
    while let Some(at) = rest.find('<') {
        let (text, tag) = rest.split_at(at);
        assert!(!text.contains('>'), "a bare '>' in {text:?}");
        for element in &mut open {
            element.text.push_str(&unescape(text));
        }
        let end = tag.find('>').expect("the tag ends");
        let (inner, behind) = (&tag[1..end], &tag[end + 1..]);
        rest = behind;
        if let Some(name) = inner.strip_prefix('/') {
            let element = open.pop().unwrap_or_else(|| panic!("</{name}> without a start"));
            assert_eq!(element.tag, name, "crossed tags");
            done.push(element);
            continue;
        }
        let (name, mut attributes) = inner.split_once(' ').unwrap_or((inner, ""));
        let mut element = Element { tag: name.to_string(), ..Element::default() };
        while let Some((key, value)) = attributes.trim_start().split_once("=\"") {
            let (value, more) = value.split_once('"').expect("the value ends");
            assert!(element.attributes.insert(key.to_string(), unescape(value)).is_none(), "{key} twice in <{inner}>");
            attributes = more;
        }
        if VOID.contains(&name) {
            assert_eq!(attributes, " /", "<{inner}>");
            done.push(element);
            continue;
        }
        assert_eq!(attributes, "", "<{inner}>");
        if ["style", "script"].contains(&name) {
            let (text, behind) = rest.split_once(&format!("</{name}>")).expect("it ends");
            element.text = text.to_string();
            rest = behind;
            done.push(element);
            continue;
        }
        open.push(element);
    }
    assert!(open.is_empty(), "still open: {:?}", open.iter().map(|e| &e.tag).collect::<Vec<_>>());
    done
}

/// The page of one domain.
fn page(name: &str, xml: &str) -> String {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join(format!("{name}.xml"));
    std::fs::write(&file, xml).expect("written");
    let out = virtc().args(["explain", "--html", "-", "--no-config"]).arg(&file).output().expect("virtc runs");
    String::from_utf8(out.stdout).expect("UTF-8")
}

fn examples() -> Vec<PathBuf> {
    let files = std::fs::read_dir(root().join("examples")).expect("examples").map(|e| e.expect("an entry").path());
    let mut files: Vec<PathBuf> = files.filter(|p| p.extension().is_some_and(|e| e == "xml")).collect();
    files.sort();
    files
}

/// Checks what holds for every page; gives its elements.
fn sound(page: &str) -> Vec<Element> {
    let all = elements(page);
    let mut ids = BTreeSet::new();
    for id in all.iter().map(|e| e.get("id")).filter(|id| !id.is_empty()) {
        assert!(ids.insert(id.to_string()), "the id '{id}' is there twice");
    }
    for element in &all {
        for (name, value) in &element.attributes {
            assert!(!["src", "srcset", "data", "action"].contains(&name.as_str()), "{element:?}");
            assert!(!name.starts_with("on"), "{element:?}");
            if name == "href" {
                let here = value.strip_prefix('#').is_some_and(|id| ids.contains(id));
                assert!(here || value.ends_with(".html") && !value.contains([':', '/']), "{value} leads nowhere");
            }
        }
        if ["style", "script"].contains(&element.tag.as_str()) {
            for word in ["url(", "@import", "http:", "https:", "//cdn", "fetch(", "XMLHttpRequest"] {
                assert!(!element.text.contains(word), "{word} in <{}>", element.tag);
            }
        }
    }
    all
}

#[test]
fn every_argument_of_the_examples_has_a_link_in_both_directions() {
    for file in examples() {
        let out = virtc().args(["explain", "--html", "-"]).arg(&file).output().expect("virtc runs");
        assert!(out.status.success(), "{}: {}", file.display(), String::from_utf8_lossy(&out.stderr));
        let all = sound(&String::from_utf8(out.stdout).expect("UTF-8"));
        let argv = virtc().args(["argv", "--format", "shell", "-q"]).arg(&file).output().expect("virtc runs");
        let argv = String::from_utf8(argv.stdout).expect("UTF-8");

        let origins: BTreeMap<&str, &Element> =
            all.iter().filter(|e| e.get("class") == "c").map(|e| (e.get("id"), e)).collect();
        let outputs: BTreeMap<&str, &Element> =
            all.iter().filter(|e| e.get("class") == "o").map(|e| (e.get("id"), e)).collect();
        let of_command: Vec<&Element> = outputs.values().filter(|o| o.get("id").starts_with("o0-")).copied().collect();
        // Each argument of QEMU is one part, and the parts are the whole command.
        let mut wanted: Vec<&str> =
            argv.trim_end().split(" \\\n").filter(|line| line.starts_with(['-', '/'])).collect();
        for part in &of_command {
            if let Some(at) = wanted.iter().position(|line| *line == part.text) {
                wanted.remove(at);
            }
        }
        assert!(wanted.is_empty(), "{}: no link at {wanted:#?}", file.display());
        assert!(of_command.len() > 15, "{}: {}", file.display(), of_command.len());
        let mut caused: BTreeSet<String> = BTreeSet::new();
        for output in outputs.values() {
            assert!(output.get("title").starts_with("because of "), "{output:?}");
            assert_eq!(output.get("href"), format!("#{}", output.origins()[0]));
            for origin in output.origins() {
                assert!(origins.contains_key(&*origin), "{origin} of {output:?}");
                caused.insert(origin);
            }
        }
        for (id, origin) in &origins {
            assert!(caused.contains(*id), "nothing came of {origin:?}");
            let first = origin.get("href").trim_start_matches('#');
            let back = outputs.get(first).unwrap_or_else(|| panic!("{first} of {origin:?}"));
            assert!(back.origins().iter().any(|c| c == id), "{origin:?} leads to {back:?}");
        }
        // The source is there as it was written.
        let text = std::fs::read_to_string(&file).expect("a text");
        assert!(all.iter().any(|e| e.tag == "code" && e.text == text), "{}", file.display());
    }
}

#[test]
fn every_kind_of_output_knows_its_causes() {
    let file = root().join("examples/desktop.xml");
    let out = virtc().args(["explain", "--html", "-", "-q"]).arg(&file).output().expect("virtc runs");
    let all = sound(&String::from_utf8(out.stdout).expect("UTF-8"));
    let outputs: Vec<&Element> = all.iter().filter(|e| e.get("class") == "o").collect();
    for (piece, cause) in [
        ("RuntimeDirectory=", "because of "),
        ("ExecStart=/usr/bin/qemu-system", "because of "),
        ("<disk type='file' device='disk'>", "because of <disk>"),
    ] {
        let found = outputs.iter().find(|o| o.text.starts_with(piece));
        let found = found.unwrap_or_else(|| panic!("no part {piece}"));
        assert!(found.get("title").starts_with(cause), "{found:?}");
    }
    for tab in ["argv", "grants", "units", "apparmor", "selinux", "cgroup", "xml"] {
        let panel = all.iter().find(|e| e.get("id") == format!("tab-{tab}"));
        assert!(panel.is_some_and(|p| p.get("class") == "panel"), "{tab}");
    }
}

#[test]
fn what_was_added_is_told_from_what_was_written() {
    let xml = "<domain type='kvm'>\n  <name>a</name>\n  <memory unit='GiB'>1</memory>\n  <vcpu>1</vcpu>\n  <os>\
               <type arch='x86_64' machine='q35'>hvm</type></os>\n</domain>\n";
    let all = sound(&page("added", xml));
    let added: Vec<&str> = all.iter().filter(|e| e.tag == "ins").map(|e| e.text.as_str()).collect();
    assert!(added.iter().any(|text| text.contains("<controller type='usb'")), "{added:?}");
    assert!(added.iter().all(|text| !text.contains("<name>") && !text.contains("arch=")), "{added:?}");
}

#[test]
fn no_text_of_a_domain_becomes_a_tag() {
    let nasty = "&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;&quot; onclick=&quot;x";
    let xml = format!(
        "<domain type='kvm'>\n  <name>a</name>\n  <title>{nasty}</title>\n  <!-- </script><img src=x> -->\n  \
         <memory unit='GiB'>1</memory>\n  <vcpu>1</vcpu>\n  <os><type arch='x86_64' machine='q35'>hvm</type></os>\n  \
         <devices><disk type='file' device='disk'><source file='/srv/{nasty}.qcow2'/><target dev='vda' bus='virtio'/>\
         </disk></devices>\n</domain>\n"
    );
    let page = page("nasty", &xml);
    let all = sound(&page);
    assert!(all.iter().all(|e| e.tag != "img"));
    assert_eq!(page.matches("</script>").count(), 1);
    assert!(all.iter().any(|e| e.tag == "code" && e.text == xml));
}

#[test]
fn a_domain_with_errors_has_a_page_that_says_so() {
    for xml in ["<domain type='kvm'>\n  <nmae>a</nmae>\n</domain>\n", "<domain", "", "no XML at all", "<a b='\u{1}'/>"]
    {
        let all = sound(&page("bad", xml));
        let said: Vec<&Element> = all.iter().filter(|e| e.tag == "li" && e.get("class") == "error").collect();
        assert!(!said.is_empty(), "{xml:?}");
        assert!(all.iter().all(|e| e.get("class") != "o"));
    }
}

#[test]
fn a_fleet_has_a_page_of_its_own() {
    let dir = tempfile::tempdir().expect("a folder");
    let server = std::fs::read_to_string(root().join("examples/server.xml")).expect("a text");
    let twin = server.replace("<name>server</name>", "<name>twin &amp; <![CDATA[<b>]]></name>");
    for (name, text) in [("a.xml", &server), ("b.xml", &twin), ("c.xml", &"<domain/>".to_string())] {
        std::fs::write(dir.path().join(name), text).expect("written");
    }
    let out = dir.path().join("pages");
    let run = virtc().args(["explain", "-q", "--html"]).arg(&out).arg(dir.path()).output().expect("virtc runs");
    assert_eq!(run.status.code(), Some(1), "{}", String::from_utf8_lossy(&run.stderr));
    let index = std::fs::read_to_string(out.join("index.html")).expect("a page");
    let all = sound(&index);
    for link in all.iter().map(|e| e.get("href")).filter(|href| href.ends_with(".html")) {
        sound(&std::fs::read_to_string(out.join(link)).unwrap_or_else(|e| panic!("{link}: {e}")));
    }
    assert_eq!(std::fs::read_dir(&out).expect("pages").count(), 4);
    for told in ["the UUID", "the writable disk", "Shared files", "does not compile"] {
        assert!(index.contains(told), "{told}: {index}");
    }
}

/// What the live page is told for a question.
fn live(question: &serde_json::Value) -> serde_json::Value {
    serde_json::from_str(&virtc::explorer::live::answer(&question.to_string())).expect("JSON")
}

#[test]
fn the_live_page_is_told_what_the_page_shows() {
    for file in examples() {
        let out =
            virtc().args(["explain", "--html", "-", "-q", "--no-config"]).arg(&file).output().expect("virtc runs");
        let page = String::from_utf8(out.stdout).expect("UTF-8");
        let source = std::fs::read_to_string(&file).expect("a text");
        let told = live(&serde_json::json!({ "source": source }));
        assert_eq!(told["fine"], true, "{}", file.display());
        for part in ["source", "defaults", "facts"] {
            let html = told[part].as_str().expect("a text");
            assert!(page.contains(html), "{}: {part}: {html}", file.display());
        }
        let panels = told["panels"].as_array().expect("panels");
        assert!(panels.len() > 6, "{panels:?}");
        for panel in panels {
            assert!(page.contains(panel["html"].as_str().expect("a text")), "{}: {}", file.display(), panel["id"]);
        }
    }
}

#[test]
fn the_live_page_compiles_for_what_is_chosen() {
    let source = std::fs::read_to_string(root().join("examples/server.xml")).expect("a text");
    let facts = |question: &serde_json::Value| live(question)["facts"].as_str().expect("facts").to_string();
    let ask = |key: &str, value: &str| serde_json::json!({ "source": source, key: value });
    assert!(facts(&ask("qemu", "qemu-9.2")).contains("QEMU 9.2"));
    assert!(facts(&ask("target", "libvirt@11.3")).contains("for libvirt@11.3"));
    let kernel = "/- kdl-version 2\nfirmware { nosuch }\n";
    let said = live(&ask("facts", kernel));
    assert_eq!(said["fine"], false);
    let panels = said["panels"].as_array().expect("panels");
    assert!(panels[0]["html"].as_str().is_some_and(|html| html.contains("facts of the host, line 2:")), "{panels:?}");
    for (key, value, word) in [
        ("qemu", "qemu-0.1", "profile"),
        ("host", "nowhere", "host"),
        ("target", "xen", "standalone"),
        ("no", "x", "field"),
    ] {
        let refused = live(&ask(key, value));
        assert!(refused["refused"].as_str().is_some_and(|why| why.contains(word)), "{refused}");
    }
    let distributions = virtc::host::Distribution::ALL;
    assert!(distributions.iter().all(|d| live(&ask("host", d.as_str()))["fine"] == true));
    for broken in ["", "<domain", "<domain type='kvm'/>", "\u{1}"] {
        assert_eq!(live(&serde_json::json!({ "source": broken }))["fine"], false, "{broken:?}");
    }
}

#[test]
fn the_live_page_is_whole_without_a_domain() {
    let example = ("a \"b\"".to_string(), "<domain>\n</domain>".to_string());
    let shell = virtc::explorer::live::shell("QUJD", &[example]);
    let all = sound(&shell);
    let option = all.iter().find(|e| e.tag == "option" && e.get("value").starts_with("<domain"));
    assert!(option.is_some_and(|o| o.text == "a \"b\"" && o.get("value") == "<domain>\n</domain>"));
    let names: Vec<&str> = all.iter().filter(|e| e.tag == "option").map(|e| e.get("value")).collect();
    for name in ["qemu-11.1", "debian-13", "libvirt@11.3", "standalone"] {
        assert!(names.contains(&name), "{name} of {names:?}");
    }
    assert!(all.iter().any(|e| e.tag == "script" && e.text.contains("QUJD")));
}

#[test]
fn a_lock_knows_its_elements() {
    let all = sound(&page("locked", &std::fs::read_to_string(root().join("examples/desktop.xml")).expect("a text")));
    let panel = all.iter().find(|e| e.get("id") == "tab-lock").expect("the lock");
    assert!(panel.text.contains("virtc-lock version=1"), "{}", panel.text);
    let part = |start: &str| all.iter().find(|e| e.get("class") == "o" && e.text.starts_with(start)).cloned();
    assert!(part("machine \"pc-q35-").is_some_and(|p| p.get("title").contains("<type>")));
    assert!(part("disk \"virtio-disk0\"").is_some_and(|p| p.get("title").contains("<disk>")));
    assert!(part("controller \"pci.1\"").is_some_and(|p| p.get("title").contains("what virtc adds")));
}

#[test]
fn what_differs_has_a_page() {
    let dir = tempfile::tempdir().expect("a folder");
    let server = std::fs::read_to_string(root().join("examples/server.xml")).expect("a text");
    let (old, new) = (dir.path().join("old"), dir.path().join("new"));
    let other =
        server.replace("<memory unit='MiB'>512", "<memory unit='MiB'>768").replace("<vcpu>1</vcpu>", "<vcpu>2</vcpu>");
    let desktop = std::fs::read_to_string(root().join("examples/desktop.xml")).expect("a text");
    for (folder, name, text) in [(&old, "a.xml", &server), (&new, "a.xml", &other), (&new, "b.xml", &desktop)] {
        std::fs::create_dir_all(folder).expect("a folder");
        std::fs::write(folder.join(name), text).expect("written");
    }
    let diff = |old: &std::path::Path, new: &std::path::Path, out: &std::path::Path| {
        let run = virtc().args(["diff", "-q", "--no-config"]).arg(old).arg(new).arg("--html").arg(out).output();
        let run = run.expect("virtc runs");
        assert_eq!(run.status.code(), Some(3), "{}", String::from_utf8_lossy(&run.stderr));
        String::from_utf8(run.stdout).expect("UTF-8")
    };
    let page = diff(&old.join("a.xml"), &new.join("a.xml"), std::path::Path::new("-"));
    let all = sound(&page);
    let causes: BTreeMap<&str, &Element> =
        all.iter().filter(|e| e.get("class") == "c").map(|e| (e.get("id"), e)).collect();
    let parts: Vec<&Element> = all.iter().filter(|e| e.get("class") == "o").collect();
    assert!(causes.len() >= 2 && parts.len() >= 6, "{} {}", causes.len(), parts.len());
    for part in &parts {
        assert!(part.origins().iter().all(|origin| causes.contains_key(origin.as_str())), "{part:?}");
    }
    // Each difference that is a link is to be seen in an output, and both sides show what it changed.
    for cause in causes.values() {
        assert!(parts.iter().any(|part| part.origins().iter().any(|id| id == cause.get("id"))), "{cause:?}");
    }
    for (class, text) in [("code gone", "<vcpu>1</vcpu>"), ("code come", "<vcpu>2</vcpu>"), ("code come", "-smp 2")] {
        assert!(all.iter().any(|e| e.get("class") == class && e.text.contains(text)), "{class} {text}");
    }
    assert!(all.iter().any(|e| e.tag == "span" && e.get("class") == "guest-visible"));
    // Of several machines a folder, with those that only one side has.
    let out = dir.path().join("pages");
    diff(&old, &new, &out);
    let index = std::fs::read_to_string(out.join("index.html")).expect("a page");
    let links: Vec<String> =
        sound(&index).iter().map(|e| e.get("href").to_string()).filter(|h| h.ends_with(".html")).collect();
    assert_eq!(links, ["server.html"]);
    assert!(index.contains("desktop (new)"), "{index}");
    sound(&std::fs::read_to_string(out.join("server.html")).expect("a page"));
}

/// A browser without a window, and what runs its script; none, told, where one is missing.
fn browser() -> Option<(PathBuf, String)> {
    let chromium = tool("chromium", "chromium")?;
    tool("node", "nodejs")?;
    // The judge of accessibility, if somebody has fetched it.
    let axe = std::env::var("VIRTC_AXE").ok().filter(|file| std::path::Path::new(file).exists());
    if axe.is_none() {
        skip("axe-core (npm): the page is not judged for accessibility");
    }
    Some((chromium, axe.unwrap_or("-".to_string())))
}

/// Runs a script of tests/browser; what it prints is faults, but for lines of measurements.
fn in_browser(script: &str, pages: &[PathBuf]) {
    let Some((chromium, axe)) = browser() else { return };
    let pictures = std::env::var("VIRTC_PICTURES").unwrap_or("-".to_string());
    let run = std::process::Command::new("node")
        .arg(root().join("tests/browser").join(script))
        .arg(chromium)
        .args([axe, pictures])
        .args(pages)
        .output()
        .expect("node runs");
    let said = String::from_utf8_lossy(&run.stdout).into_owned() + &String::from_utf8_lossy(&run.stderr);
    eprint!("{said}");
    assert!(run.status.success(), "{said}");
}

#[test]
fn pages_hold_in_a_browser() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut pages = Vec::new();
    for file in examples() {
        let page = dir.path().join(file.file_name().expect("a name")).with_extension("html");
        let run = virtc().args(["explain", "-q", "--no-config", "--html"]).arg(&page).arg(&file).output();
        assert!(run.is_ok_and(|out| out.status.success()), "{}", file.display());
        pages.push(page);
    }
    assert_eq!(pages.len(), 8);
    let (differences, examples) = (dir.path().join("differences.html"), root().join("examples"));
    let mut command = virtc();
    let run = command.args(["diff", "-q", "--no-config", "--html"]).arg(&differences);
    let run = run.arg(examples.join("server.xml")).arg(examples.join("desktop.xml")).output().expect("virtc runs");
    assert_eq!(run.status.code(), Some(3), "{}", String::from_utf8_lossy(&run.stderr));
    pages.push(differences);
    in_browser("pages.mjs", &pages);
}

#[test]
fn the_live_page_holds_in_a_browser() {
    // docs/explorer/build takes minutes, and a Rust that writes WebAssembly.
    let Some(page) = std::env::var_os("VIRTC_LIVE_PAGE").map(PathBuf::from) else {
        return skip("the live page (docs/explorer/build, for which there is no WebAssembly)");
    };
    let bytes = std::fs::read(&page).expect("the page");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut packed, &bytes).expect("memory");
    let size = packed.finish().expect("memory").len();
    assert!(size <= 3 << 20, "the page has {size} bytes as a server sends it");
    in_browser("live.mjs", &[page]);
}
