mod common;
use common::*;
use evpn_engine::view::routes::RouteFilter;
use evpn_proto::types::*;
use std::net::Ipv4Addr;
#[test]
#[allow(clippy::disallowed_methods)]
fn measure() {
    let mut net = Net::mesh(2, Ases::Each, |_| {});
    let mut attributes = attributes(2);
    attributes.ext_communities.remove(0);
    let mut n: u32 = 0;
    for _ in 0..1000 {
        let routes = (0..1000).map(|_| {
            n += 1;
            let x = n.wrapping_mul(2654435761);
            let [a,b,c,d] = x.to_be_bytes();
            let rd = Rd::ipv4(Ipv4Addr::new(10,1,(n%50) as u8,2), 100);
            EvpnRoute::labelled(RouteKey::MacIp { rd, etag: EthernetTag(0), mac: MacAddr([2,0,a,b,c,d]), ip: None }, Label::from(vni(100)))
        }).collect();
        net.inject(0, 2, attributes.clone(), routes);
    }
    let view = net.view(0);
    println!("{} routes", view.route_count());
    let mut cursor = None;
    for limit in [50, 500, 500, 2000, 2000] {
        let t = std::time::Instant::now();
        let page = view.routes(&RouteFilter::default(), cursor.as_ref(), limit);
        println!("page of {limit}: {:?} {}", t.elapsed(), page.routes.len());
        cursor = page.next;
    }
    let t = std::time::Instant::now();
    let f = RouteFilter { mac: Some(mac(7)), ..Default::default() };
    println!("filter mac: {} {:?}", view.routes(&f, None, 500).routes.len(), t.elapsed());
}
