//! Relative paths of firmware and kernels: QEMU starts in the root directory, under libvirt and under a unit, and so looks for
//! them there. A standalone machine is told the whole path, which is also what is granted and labelled.

use crate::domain::Domain;

/// Makes the paths of firmware and kernels absolute.
pub fn paths(domain: &mut Domain) {
    let Some(os) = &mut domain.os else { return };
    let nvram = os.nvram.as_mut();
    let (template, store) = nvram.map_or((None, None), |n| (n.template.as_mut(), n.path.as_mut()));
    let loader = os.loader.as_mut().and_then(|l| l.path.as_mut());
    let kernel = [os.kernel.as_mut(), os.initrd.as_mut(), os.dtb.as_mut()];
    kernel.into_iter().chain([loader, template, store]).flatten().for_each(rooted);
}

fn rooted(path: &mut String) {
    if !path.is_empty() && !path.starts_with('/') {
        path.insert(0, '/');
    }
}
